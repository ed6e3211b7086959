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
    /// A loop without proof that it ends.
    ENDLESS_LOOP = "endless-loop", Error, "a loop that may never end";
    /// More paths than can be followed.
    TOO_COMPLEX = "too-complex", Error, "more paths than can be followed";
    /// A pointer that was not tested.
    POSSIBLY_NULL = "possibly-null", Error, "a pointer that may be 0 is used without a test";
    /// A number used as an address, or memory of a kind that does not allow the access.
    NOT_A_POINTER = "not-a-pointer", Error, "something is used as an address that is none";
    /// An access outside of its memory.
    OUT_OF_BOUNDS = "out-of-bounds", Error, "an access outside of its memory";
    /// A packet access without a comparison with the end.
    PACKET_BOUNDS = "packet-bounds", Error, "packet bytes are touched that may not be there";
    /// A stack access outside of the frame.
    STACK_ACCESS = "stack-access", Error, "a stack access outside of the frame";
    /// Stack bytes that were never written.
    UNINITIALIZED_STACK = "uninitialized-stack", Error, "stack bytes are read before they are written";
    /// An access that does not start at a multiple of its size.
    MISALIGNED = "misaligned", Error, "an access that does not start at a multiple of its size";
    /// A store into what can only be read.
    READ_ONLY = "read-only", Error, "a store into what can only be read";
    /// A context field that is not there.
    CONTEXT_ACCESS = "context-access", Error, "an access to the context that is not allowed";
    /// A field of a kernel structure that is not there.
    TYPED_ACCESS = "typed-access", Error, "an access to a kernel structure that is not allowed";
    /// A field that belongs to the kernel.
    SPECIAL_FIELD = "special-field", Error, "a field is touched that belongs to the kernel";
    /// Arithmetic that makes a pointer useless.
    POINTER_ARITHMETIC = "pointer-arithmetic", Error, "arithmetic that a pointer does not allow";
    /// A shift past the width, or a division by the constant 0.
    BAD_SHIFT = "bad-shift", Error, "a constant that makes no sense in this operation";
    /// An argument of the wrong kind.
    BAD_ARGUMENT = "bad-argument", Error, "an argument that does not fit the function";
    /// A length without bounds.
    BAD_LENGTH = "bad-length", Error, "a length that is not bounded";
    /// A helper and a map that do not go together.
    WRONG_MAP = "wrong-map", Error, "a helper and a map that do not go together";
    /// Something acquired that is not released.
    LEAKED_REFERENCE = "leaked-reference", Error, "something acquired is not given back";
    /// A lock that is held where it must not be.
    LOCK_HELD = "lock-held", Error, "a lock is held where it must not be";
    /// A result that the hook does not know.
    RETURN_VALUE = "return-value", Error, "a return value that the hook does not know";
    /// A call that may sleep where nobody may.
    MUST_NOT_SLEEP = "must-not-sleep", Error, "a call that may sleep where nobody may";
    /// A hook that does not allow the program, or a call in it.
    WRONG_HOOK = "wrong-hook", Error, "a hook that does not allow this";
    /// A type that the kernel does not have.
    UNKNOWN_TYPE = "no-kernel-type", Error, "a type or field that the kernel does not have";
    /// A part of the kernel's interface that is not modelled here.
    NOT_MODELLED = "not-modelled", Error, "something that only the kernel itself can judge";
}
