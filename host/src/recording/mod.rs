//! Recordings: a folder of Arrow streams that any Arrow reader opens.
