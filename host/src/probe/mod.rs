//! What this kernel offers to attach to, and how an expression over it becomes a plan.
