package weir

// Failure is why a call was refused, or why a plugin gives up. Every other error will do for the latter, too; its
// reason is `failed`.
type Failure struct {
	// A word for programs: the host's (`quota`, `unknown`, `kind`, `bounds`, `too-large`, …), or a plugin's own.
	Reason string
	// A sentence for people.
	Message string
}

func (f *Failure) Error() string { return f.Message }

// Fail is a failure with a reason of the plugin's own.
func Fail(reason, message string) error {
	return &Failure{reason, message}
}
