//! The slugs of this room: what a program can be refused for.

nonna_diag::declare_slugs! {
    /// An instruction that has no encoding.
    NOT_ENCODABLE = "not-encodable", Error, "an instruction that no processor of eBPF knows";
    /// A jump that leaves its function or lands inside an instruction.
    JUMP_OUT_OF_FUNCTION = "jump-out-of-function", Error, "a jump that leaves its function";
    /// Instructions that no path reaches.
    UNREACHABLE_CODE = "unreachable-code", Error, "instructions that no path reaches";
    /// A function whose last instruction falls through its end.
    FALLS_THROUGH = "falls-through", Error, "a function that does not return";
    /// A register that is read on a path where nothing was written to it.
    UNWRITTEN_REGISTER = "unwritten-register", Error, "a register is read before it is written";
    /// The frame pointer is the kernel's.
    FRAME_POINTER_WRITTEN = "frame-pointer-written", Error, "the frame pointer is written";
    /// An access beyond the 512 bytes of stack.
    STACK_TOO_LARGE = "stack-too-large", Error, "more stack is used than a program has";
    /// Functions that call each other in a circle, or more than 8 deep.
    CALL_TOO_DEEP = "call-too-deep", Error, "functions call each other too deep";
    /// A helper that does not exist, or not for this program type.
    UNKNOWN_HELPER = "unknown-helper", Error, "a helper that this kind of program cannot call";
    /// A relocation that does not fit its instruction or names nothing.
    BAD_RELOCATION = "bad-relocation", Error, "a reference that cannot be filled in";
}
