//! Gives classes registers, the dearest first.

use nonna_bpf::Reg;

use super::coalesce::Classes;
use super::ranges::{LiveRanges, Ranges};
use super::{SpillLevel, level_of};
use crate::mir::{MFunction, VReg};

/// Registers that may be allocated; calls destroy the first [`N_CALLER_SAVED`].
const N_ALLOCATABLE: usize = 10;
/// `r0` to `r5`.
const N_CALLER_SAVED: usize = 6;
/// Where nothing is wished: away from the results and first arguments that others wish for.
const PREFERENCE: [usize; N_ALLOCATABLE] = [5, 4, 3, 2, 0, 1, 6, 7, 8, 9];

/// The registers of a function's virtual registers.
pub struct Assignment {
    regs: Vec<Option<Reg>>,
    /// Where each machine register holds something, allocated or not.
    occupied: [Ranges; N_ALLOCATABLE],
}

impl Assignment {
    /// The machine register for a register.
    pub fn reg(&self, reg: VReg) -> Reg {
        match reg.as_physical() {
            Some(reg) => reg,
            None => self.regs[reg.idx()].expect("every register that lives is assigned"),
        }
    }

    /// A machine register that holds nothing while operation `number` runs.
    pub fn free_at(&self, number: u32) -> Option<Reg> {
        (0..N_ALLOCATABLE)
            .find(|&idx| {
                !self.occupied[idx].contains(2 * number) && !self.occupied[idx].contains(2 * number + 1)
            })
            .and_then(|idx| Reg::new(idx as u8))
    }
}

/// Assigns registers.
///
/// # Errors
///
/// The classes that found none.
pub fn assign(
    function: &MFunction,
    ranges: &LiveRanges,
    classes: &Classes,
    levels: &[SpillLevel],
) -> Result<Assignment, Vec<VReg>> {
    let occupied = std::array::from_fn(|idx| ranges.of(VReg::from_idx(idx)).clone());
    let mut assignment = Assignment { regs: vec![None; function.n_regs], occupied };
    let mut to_spill = Vec::new();
    for class in in_order(classes, levels, &assignment) {
        match choose(classes, class, &assignment) {
            Some(idx) => {
                assignment.occupied[idx].add(classes.ranges(class));
                assignment.regs[class.idx()] = Reg::new(idx as u8);
            }
            None => to_spill.push(class),
        }
    }
    if !to_spill.is_empty() {
        return Err(to_spill);
    }
    for idx in VReg::FIRST_VIRTUAL..function.n_regs {
        let class = classes.class_of(VReg::from_idx(idx));
        assignment.regs[idx] = assignment.regs[class.idx()];
    }
    Ok(assignment)
}

/// First what cannot be spilled, then what lives across calls (few registers serve it), then what a copy ties to a
/// machine register, then the rest; the densest first in each group.
fn in_order(classes: &Classes, levels: &[SpillLevel], assignment: &Assignment) -> Vec<VReg> {
    let mut order: Vec<(u8, f32, VReg)> = classes
        .roots()
        .map(|class| {
            let across_calls =
                (0..N_CALLER_SAVED).all(|idx| assignment.occupied[idx].intersects(classes.ranges(class)));
            let group = match level_of(levels, class) {
                SpillLevel::Single => 0,
                SpillLevel::Stretch(_) => 1,
                SpillLevel::Whole if across_calls => 2,
                SpillLevel::Whole if classes.wishes(class).any(|(reg, _)| !reg.is_virtual()) => 3,
                SpillLevel::Whole => 4,
            };
            (group, classes.density(class), class)
        })
        .collect();
    order.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.total_cmp(&a.1)).then(a.2.cmp(&b.2)));
    order.into_iter().map(|(_, _, class)| class).collect()
}

/// The free register that saves most copies, else the first free one.
fn choose(classes: &Classes, class: VReg, assignment: &Assignment) -> Option<usize> {
    let ranges = classes.ranges(class);
    let mut saved = [0f32; N_ALLOCATABLE];
    for (reg, weight) in classes.wishes(class) {
        let wished = reg.as_physical().or(assignment.regs[reg.idx()]);
        if let Some(entry) = wished.and_then(|reg| saved.get_mut(usize::from(reg.number()))) {
            *entry += weight;
        }
    }
    let free = PREFERENCE.into_iter().filter(|&idx| !assignment.occupied[idx].intersects(ranges));
    // The first of equals wins, so the preference decides where no copy does.
    free.fold(None, |best: Option<usize>, idx| match best {
        Some(best) if saved[best] >= saved[idx] => Some(best),
        _ => Some(idx),
    })
}
