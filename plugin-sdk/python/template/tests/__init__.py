import sys

sys.path[:0] = ["src", "build/sdk"]
