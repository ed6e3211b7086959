//! Programs that read kernel structures, by the names of their members.

use nonna_bpf::{Hook, MemSize, Target};
use nonna_btf::TypeId;
use nonna_ir::{
    Bits, DataDecl, DataId, FunctionBuilder, FunctionKind, KernelField, Module, Region, Type, Value,
};

/// Builds one program and remembers what it needs of the kernel's types.
pub struct Script<'t> {
    /// Appends to the program.
    pub b: FunctionBuilder,
    /// Whose types are meant.
    pub target: &'t Target,
    out: DataId,
    n_out: i32,
}

impl Script<'_> {
    /// A structure of the kernel.
    fn structure(&self, name: &str) -> TypeId {
        self.target.btf.find(nonna_btf::Kind::Struct, name).expect("the kernel has it")
    }

    /// A pointer to a structure of the kernel.
    pub fn pointer(&self, name: &str) -> Type {
        Type::Pointer(Region::Kernel(Some(self.structure(name))))
    }

    /// `pointer->path` of a structure.
    pub fn get(&mut self, pointer: Value, structure: &str, path: &str) -> Value {
        let id = self.structure(structure);
        let hop = self.target.btf.resolve_path(&format!("{structure}.{path}")).expect("it is there").hops[0];
        let field = KernelField {
            container: Some(id),
            offset: hop.byte_offset,
            size: MemSize::from_bytes(hop.size_bytes as u32).expect("a scalar"),
            signed: hop.is_signed,
            bits: hop.bits.map(|bits| Bits { shift: bits.shift, width: bits.width }),
        };
        let result = match self.target.btf.pointer(hop.type_id).expect("readable") {
            Some(found) => Type::Pointer(Region::Kernel(Some(found.target))),
            None => Type::Int,
        };
        self.b.load_kernel(pointer, field, result)
    }

    /// Bytes from the start of a structure to a member.
    pub fn offset(&self, path: &str) -> i64 {
        self.target.btf.resolve_path(path).expect("it is there").hops[0].byte_offset.into()
    }

    /// Keeps a value so that it counts.
    pub fn keep(&mut self, value: Value) {
        let to = self.b.data_address(self.out);
        let value = self.b.cast(value, Type::Int);
        self.b.store(to, self.n_out, MemSize::DW, value);
        self.n_out += 8;
    }

    /// The current task.
    pub fn task(&mut self) -> Value {
        let task = self.structure("task_struct");
        self.b.current_task(Some(task))
    }
}

/// A module of one program, whose body `build` writes; `out` in its data holds what is kept.
pub fn module(target: &Target, hook: Hook, build: impl FnOnce(&mut Script<'_>)) -> Module {
    let mut module = Module::default();
    let bytes = vec![0; 128];
    let out = module.data.push(DataDecl { name: "out".to_owned(), bytes, align: 8, mutable: true });
    let b = FunctionBuilder::new("program", FunctionKind::Program { hook }, &[], Type::Int);
    let mut script = Script { b, target, out, n_out: 0 };
    build(&mut script);
    let zero = script.b.iconst(0);
    script.b.ret(zero);
    module.functions.push(script.b.finish());
    module
}
