package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"time"
)

// What Go's library asks of WASI's first preview, which the adapter answers.
func wasi() error {
	began := time.Now()
	time.Sleep(time.Hour)
	fmt.Println("began", began.UTC().Format(time.RFC3339Nano), "slept", time.Since(began))
	fmt.Println("random", rand.Uint64(), rand.Uint64())
	_, err := os.ReadFile("/etc/passwd")
	fmt.Println(len(os.Args), "arguments", len(os.Environ()), "variables", "file:", err != nil)

	fmt.Print("a line ")
	fmt.Print("in pieces\nand another\n\n")
	fmt.Fprint(os.Stderr, "not \xff UTF-8\n")
	fmt.Println(strings.Repeat("x", 5000))
	fmt.Print("without an end")
	return nil
}
