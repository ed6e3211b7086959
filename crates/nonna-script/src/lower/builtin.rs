//! Values that the kernel has ready.

use nonna_bpf::{Helper, MemSize};
use nonna_ir::{BinaryOp, Inst, Region, Type as IrType, Value};

use super::body::Body;
use crate::hir::{Builtin, NsecsClock};
use crate::types::Type;

impl Body<'_, '_> {
    /// The type of the register that a builtin comes in.
    pub fn builtin_type(&self, builtin: &Builtin, ty: &Type) -> IrType {
        match builtin {
            Builtin::Context => IrType::Pointer(Region::Context),
            _ => self.ir_type(ty),
        }
    }

    pub fn builtin(&mut self, builtin: &Builtin, ty: &Type) -> Value {
        let ir_type = self.builtin_type(builtin, ty);
        self.builtin_of_type(builtin, ir_type)
    }

    pub fn builtin_of_type(&mut self, builtin: &Builtin, ir_type: IrType) -> Value {
        // The body of a called loop has these from the function around it.
        let known = self.callback.as_ref().and_then(|callback| {
            callback.builtins.iter().find(|(known, _)| known == builtin).map(|(_, value)| *value)
        });
        if let Some(value) = known {
            return self.as_type(value, ir_type);
        }
        match builtin {
            Builtin::Pid => self.half_of(Helper::GET_CURRENT_PID_TGID, true),
            Builtin::Tid => self.half_of(Helper::GET_CURRENT_PID_TGID, false),
            Builtin::Uid => self.half_of(Helper::GET_CURRENT_UID_GID, false),
            Builtin::Gid => self.half_of(Helper::GET_CURRENT_UID_GID, true),
            Builtin::Cpu => self.b.call_helper(Helper::GET_SMP_PROCESSOR_ID, &[]),
            Builtin::Numa => self.b.call_helper(Helper::GET_NUMA_NODE_ID, &[]),
            Builtin::Random => {
                let value = self.b.call_helper(Helper::GET_PRANDOM_U32, &[]);
                self.b.extend(value, 32, false)
            }
            Builtin::Jiffies => self.b.call_helper(Helper::JIFFIES64, &[]),
            Builtin::Cgroup => self.b.call_helper(Helper::GET_CURRENT_CGROUP_ID, &[]),
            Builtin::Nsecs(clock) => {
                let helper = match clock {
                    NsecsClock::Monotonic => Helper::KTIME_GET_NS,
                    NsecsClock::Boot => Helper::KTIME_GET_BOOT_NS,
                    NsecsClock::Tai => Helper::KTIME_GET_TAI_NS,
                    NsecsClock::Coarse => Helper::KTIME_GET_COARSE_NS,
                };
                self.b.call_helper(helper, &[])
            }
            Builtin::Elapsed => self.elapsed(),
            Builtin::CurrentTask => {
                let id = match ir_type {
                    IrType::Pointer(Region::Kernel(id)) => id,
                    _ => None,
                };
                self.b.current_task(id)
            }
            Builtin::Context => self.b.context(),
            Builtin::Arg(index) => self.b.arg(*index, ir_type),
            Builtin::Return => self.b.inst(Inst::ReturnValue, ir_type),
            Builtin::Register(offset) => {
                let context = self.builtin_of_type(&Builtin::Context, IrType::Pointer(Region::Context));
                let offset = i32::try_from(*offset).unwrap_or(i32::MAX);
                self.b.load(context, offset, MemSize::DW, false)
            }
        }
    }

    /// The high or low half of what a helper gives.
    fn half_of(&mut self, helper: Helper, high: bool) -> Value {
        let both = self.b.call_helper(helper, &[]);
        if high {
            let by = self.b.iconst(32);
            return self.b.binary(BinaryOp::LShr, both, by);
        }
        self.b.extend(both, 32, false)
    }

    fn elapsed(&mut self) -> Value {
        let now = self.b.call_helper(Helper::KTIME_GET_NS, &[]);
        let Some(start) = self.l.start else { return now };
        let address = self.b.data_address(start);
        let start = self.b.load(address, 0, MemSize::DW, false);
        self.b.binary(BinaryOp::Sub, now, start)
    }
}
