//! What a program owes its hook when it ends, and what callbacks owe their helper (`check_return_code`, Linux 6.12).

use nonna_bpf::{AttachType, ProgramType, Width};
use nonna_btf::{Kind as BtfKind, TypeId};

use super::Prover;
use super::failure::Failure;
use super::state::State;
use super::value::Value;
use crate::context::{BOOLEAN_LSM_HOOKS, FunctionResult, ReturnRange, returns_for};
use crate::environment::Rules;
use crate::numbers::Scalar;
use crate::slugs;

impl Prover<'_> {
    /// A program ends with this state.
    pub(crate) fn check_end(&mut self, state: &State, at: usize) -> Result<(), Failure> {
        self.check_nothing_held(state, at, "the program ends here")?;
        let value = state.register(0);
        if self.proves_global {
            return match value {
                Value::Number(_) => Ok(()),
                _ => Err(self.bad_result(at, "a function that others call returns a number")),
            };
        }
        if self.environment.rules != Rules::Kernel {
            return self.read(state, at, 0).map(|_| ());
        }
        let range = self.return_range(at)?;
        if range == ReturnRange::Unread {
            return Ok(());
        }
        let result = self.read(state, at, 0)?;
        if range == ReturnRange::Any {
            return Ok(());
        }
        let Value::Number(number) = result else {
            return Err(self.bad_result(at, "this returns a pointer, where a number is wanted"));
        };
        let (allowed, width) = match range {
            ReturnRange::Any | ReturnRange::Unread | ReturnRange::OfFunction => return Ok(()),
            ReturnRange::Within { min, max } => ((min, max), Width::W64),
            ReturnRange::Low32Within { min, max } => ((min, max), Width::W32),
        };
        self.wants(at, 1);
        let found = number.scalar.ranges(width);
        let fits = found.signed_min >= i64::from(allowed.0) && found.signed_max <= i64::from(allowed.1);
        if fits || !self.judges() {
            return Ok(());
        }
        let expected = if allowed.0 == allowed.1 {
            allowed.0.to_string()
        } else {
            format!("{} to {}", allowed.0, allowed.1)
        };
        let shown = describe(&number.scalar, width);
        Err(self
            .bad_result(at, &format!("this program may return {shown}, but only {expected} is allowed here")))
    }

    fn bad_result(&self, at: usize, message: &str) -> Failure {
        Failure::new(&slugs::RETURN_VALUE, at, message)
            .register(0)
            .help("return one of the values that the hook knows, on every path")
    }

    fn return_range(&self, at: usize) -> Result<ReturnRange, Failure> {
        let program = self.program();
        let result = match program.program_type {
            ProgramType::Lsm => {
                let hook = program.attach_target.as_deref().unwrap_or_default();
                let btf = self.kernel_types(at)?;
                let found = btf.lsm_hook(hook).ok().flatten().ok_or_else(|| self.unknown_type(at, hook))?;
                let is_void =
                    found.return_type == TypeId::VOID || btf.kind(found.return_type) == Ok(BtfKind::Void);
                if is_void {
                    FunctionResult::Void
                } else if BOOLEAN_LSM_HOOKS.contains(&hook) {
                    FunctionResult::Boolean
                } else {
                    FunctionResult::Value
                }
            }
            ProgramType::Tracing if program.attach_type == Some(AttachType::ModifyReturn) => {
                FunctionResult::Value
            }
            _ => FunctionResult::Value,
        };
        Ok(returns_for(program.program_type, program.attach_type, result))
    }

    /// A callback ends: what the helper takes as an answer.
    pub(crate) fn check_callback_result(
        &mut self,
        state: &State,
        at: usize,
        result: &Value,
    ) -> Result<(), Failure> {
        self.wants(at, 1);
        let once = matches!(state.frame().role, super::state::Role::Callback { once: true });
        let most = if once { 0 } else { 1 };
        if once || state.depth() > 0 {
            let depth = state.depth() as u8;
            if let Some(held) = state.references.iter().find(|held| held.depth >= depth) {
                let message = format!(
                    "the callback ends here, but what instruction {} acquired is still held",
                    self.slots.slot(held.insn)
                );
                return Err(Failure::new(&slugs::LEAKED_REFERENCE, at, message)
                    .origin(held.insn)
                    .help("release it before the callback returns"));
            }
        }
        let fits = result.number().is_some_and(|number| {
            let ranges = number.scalar.ranges(Width::W64);
            ranges.unsigned_max <= most
        });
        if fits || !self.judges() {
            return Ok(());
        }
        let message = if once {
            "this callback must return 0"
        } else {
            "this callback must return 0 to go on or 1 to stop"
        };
        Err(Failure::new(&slugs::RETURN_VALUE, at, message).register(0).help("return a constant 0 or 1"))
    }
}

/// A set of numbers in words.
pub(crate) fn describe(scalar: &Scalar, width: Width) -> String {
    let ranges = scalar.ranges(width);
    match scalar.as_constant() {
        Some(constant) if constant as i64 >= -(1 << 40) && (constant as i64) < (1 << 40) => {
            format!("{}", constant as i64)
        }
        Some(constant) => format!("{constant:#x}"),
        None if ranges.signed_min == i64::MIN && ranges.signed_max == i64::MAX => "any number".to_owned(),
        None if ranges.signed_min >= 0 => format!("{} to {}", ranges.unsigned_min, ranges.unsigned_max),
        None => format!("{} to {}", ranges.signed_min, ranges.signed_max),
    }
}
