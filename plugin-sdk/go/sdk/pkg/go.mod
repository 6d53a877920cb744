// The two packages that generated bindings import. These are Weir's own, in the place of go.bytecodealliance.org/pkg:
// they ask for nothing but the standard library and no flags of the linker.
module go.bytecodealliance.org/pkg

go 1.24
