//! How bytes that are not ours are shown: reversibly, and without their power over a terminal.
