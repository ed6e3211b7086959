//! What the tests share: compile a module for the running kernel, run it, decode what it sends.

use std::error::Error;
use std::time::{Duration, Instant};

use nonna_bpf::{Feature, Helper, Hook, MapIdx, MemSize, Object};
use nonna_btf::{Btf, Kind};
use nonna_codegen::{Options, compile};
use nonna_event::{
    DROPS_MAP_NAME, Decoder, DropReason, Event, EventSchema, Field, FieldType, RawRecord, Ring, Text, Value,
};
use nonna_ir::{
    BinaryOp, DataId, EventId, FunctionBuilder, FunctionKind, KernelField, Module, Region, Type,
    Value as IrValue,
};
use nonna_kernel::{Attached, Kernel, KernelMap, RingReader, UpdateMode};

pub type Fault = Box<dyn Error + Send + Sync>;

/// A module under construction, with the kernel's types at hand.
pub struct Builder {
    pub kernel: Kernel,
    pub module: Module,
    btf: std::sync::Arc<Btf>,
}

impl Builder {
    pub fn new() -> Result<Self, Fault> {
        let kernel = Kernel::new();
        let btf = kernel.btf()?;
        Ok(Self { kernel, module: Module::default(), btf })
    }

    /// Declares an event; its number is its position.
    pub fn event(&mut self, name: &str, ring: Ring, fields: &[(&str, FieldType)]) -> EventId {
        let id = u32::try_from(self.module.events.len()).expect("few events");
        let fields = fields.iter().map(|(name, field_type)| Field {
            name: (*name).to_owned(),
            field_type: field_type.clone(),
            description: String::new(),
        });
        self.module.events.push(EventSchema { id, name: name.to_owned(), fields: fields.collect(), ring })
    }

    /// Adds a program whose body `build` writes.
    pub fn program(&mut self, name: &str, hook: Hook, build: impl FnOnce(&mut Body<'_>)) {
        let builder = FunctionBuilder::new(name, FunctionKind::Program { hook }, &[], Type::Int);
        let mut body = Body { b: builder, btf: &self.btf, data: self.module.data.keys().collect() };
        build(&mut body);
        let zero = body.b.iconst(0);
        body.b.ret(zero);
        self.module.functions.push(body.b.finish());
    }

    /// Loads and attaches.
    pub fn run(self) -> Result<Running, Fault> {
        self.run_with(&Options::default())
    }

    pub fn run_with(self, options: &Options<'_>) -> Result<Running, Fault> {
        let schemas: Vec<EventSchema> = self.module.events.values().cloned().collect();
        let target = self.kernel.target(&[Feature::TypedTracepoint])?;
        let object = compile(self.module, &target, options)?;
        let n_events = u32::try_from(schemas.len())?;
        let verified =
            nonna_verifier::verify_structure(object).map_err(|r| format!("{:#?}", r.diagnostics))?;
        let attached = self.kernel.load(&verified)?.attach_all(&self.kernel)?;
        let position = |name: &str| verified.object().maps.iter().position(|map| map.name == name);
        let mut rings = Vec::new();
        for ring in [Ring::Critical, Ring::Volume] {
            if let Some(idx) = position(ring.map_name()) {
                rings.push(RingReader::open(&attached.loaded().maps()[idx])?);
            }
        }
        let drops = position(DROPS_MAP_NAME);
        Ok(Running {
            object: verified.object().clone(),
            attached,
            rings,
            drops,
            n_events,
            decoder: Decoder::new(schemas),
        })
    }
}

/// The body of a program.
pub struct Body<'b> {
    pub b: FunctionBuilder,
    btf: &'b Btf,
    data: Vec<DataId>,
}

impl Body<'_> {
    /// The module's data, in order.
    pub fn data(&self) -> impl Iterator<Item = DataId> + use<> {
        self.data.clone().into_iter()
    }

    /// A member of a kernel structure by its path.
    pub fn field(&self, structure: &str, path: &str) -> KernelField {
        let id = self.btf.find(Kind::Struct, structure).expect("the kernel has the structure");
        let mut access = self.btf.whole(id).expect("its size is known");
        for name in path.split('.') {
            let inner = self.btf.member(access.type_id, name).expect("the kernel has the member");
            access = access.then(inner).expect("offsets are small");
        }
        let size = u32::try_from(access.size_bytes).ok().and_then(MemSize::from_bytes);
        KernelField {
            container: Some(id),
            offset: access.byte_offset,
            size: size.unwrap_or(MemSize::DW),
            signed: access.is_signed,
            bits: None,
        }
    }

    /// A pointer to a kernel structure.
    pub fn pointer(&self, structure: &str) -> Type {
        Type::Pointer(Region::Kernel(self.btf.find(Kind::Struct, structure)))
    }

    pub fn task(&mut self) -> IrValue {
        let task = self.btf.find(Kind::Struct, "task_struct");
        self.b.current_task(task)
    }

    /// Follows a pointer member.
    pub fn follow(&mut self, pointer: IrValue, structure: &str, path: &str, to: &str) -> IrValue {
        let (field, to) = (self.field(structure, path), self.pointer(to));
        self.b.load_kernel(pointer, field, to)
    }

    /// The address of a member.
    pub fn member(&mut self, pointer: IrValue, structure: &str, path: &str, to: &str) -> IrValue {
        let offset = self.b.iconst(i64::from(self.field(structure, path).offset));
        let sum = self.b.binary(BinaryOp::Add, pointer, offset);
        let to = self.pointer(to);
        self.b.cast(sum, to)
    }

    /// The process id of the running task.
    pub fn pid(&mut self) -> IrValue {
        let both = self.b.call_helper(Helper::GET_CURRENT_PID_TGID, &[]);
        let by = self.b.iconst(32);
        self.b.binary(BinaryOp::LShr, both, by)
    }

    /// The `struct file *` behind a file descriptor of the running task.
    pub fn file(&mut self, fd: IrValue) -> IrValue {
        let task = self.task();
        let files = self.follow(task, "task_struct", "files", "files_struct");
        let table = self.follow(files, "files_struct", "fdt", "fdtable");
        let array = self.follow(table, "fdtable", "fd", "file");
        let array = self.b.cast(array, Type::Int);
        let three = self.b.iconst(3);
        let offset = self.b.binary(BinaryOp::Shl, fd, three);
        let place = self.b.binary(BinaryOp::Add, array, offset);
        let place = self.b.cast(place, Type::KERNEL);
        let entry = KernelField { container: None, offset: 0, size: MemSize::DW, signed: false, bits: None };
        let to = self.pointer("file");
        self.b.load_kernel(place, entry, to)
    }
}

/// A module at work.
pub struct Running {
    object: Object,
    attached: Attached,
    rings: Vec<RingReader>,
    drops: Option<usize>,
    n_events: u32,
    decoder: Decoder,
}

impl Running {
    /// What was sent so far.
    pub fn events(&mut self) -> Result<Vec<Event>, Fault> {
        let mut events = Vec::new();
        let mut fault = None;
        for ring in &mut self.rings {
            ring.drain(|records| {
                for record in records {
                    match self.decoder.decode(RawRecord::new(record)) {
                        Ok(event) => events.push(event),
                        Err(error) => fault = Some(error),
                    }
                }
            });
        }
        match fault {
            None => Ok(events),
            Some(error) => Err(error.into()),
        }
    }

    /// The first event that `wanted` picks, waiting for it for a moment.
    pub fn find(&mut self, wanted: impl Fn(&Event) -> bool) -> Result<Event, Fault> {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            if let Some(event) = self.events()?.into_iter().find(&wanted) {
                return Ok(event);
            }
            if Instant::now() > deadline {
                return Err("the event never came".into());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The count of a reason, over all processors.
    pub fn drops(&self, reason: DropReason) -> Result<u64, Fault> {
        let idx = self.drops.ok_or("the object has no counters")?;
        let map = self.attached.loaded().map(MapIdx(u32::try_from(idx)?));
        let value = map.get(&reason.counter(self.n_events).to_ne_bytes())?.ok_or("no such counter")?;
        let counts = map.per_cpu(&value).map(|count| u64::from_ne_bytes(count.try_into().expect("8 bytes")));
        Ok(counts.sum())
    }

    /// A byte of a global variable.
    pub fn variable_byte(&self, name: &str, position: u32) -> Result<u8, Fault> {
        let (map, at) = self.variable(name, position)?;
        let value = map.get(&0u32.to_ne_bytes())?.ok_or("global data is there")?;
        Ok(value[at])
    }

    pub fn set_variable_byte(&self, name: &str, position: u32, byte: u8) -> Result<(), Fault> {
        let (map, at) = self.variable(name, position)?;
        let mut value = map.get(&0u32.to_ne_bytes())?.ok_or("global data is there")?;
        value[at] = byte;
        Ok(map.update(&0u32.to_ne_bytes(), &value, UpdateMode::Any)?)
    }

    fn variable(&self, name: &str, position: u32) -> Result<(&KernelMap, usize), Fault> {
        let variable = self.object.variable(name).ok_or("the object has no such variable")?;
        assert!(position < variable.size_bytes);
        Ok((self.attached.loaded().map(variable.map), (variable.offset_bytes + position) as usize))
    }
}

/// The text of a field, or why there is none.
pub fn text<'e>(event: &'e Event, field: &str) -> &'e Text {
    match event.get(field) {
        Some(Value::Text(text)) => text,
        other => panic!("`{field}` is {other:?}"),
    }
}

/// The text of a field as a string.
pub fn string(event: &Event, field: &str) -> String {
    String::from_utf8_lossy(&text(event, field).bytes).into_owned()
}
