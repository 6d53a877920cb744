import sys

sys.path[:0] = ["src", "../../plugin-sdk/python/sdk"]
