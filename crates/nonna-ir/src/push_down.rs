//! Joins conditions into the `Emit`s of an event, so that what nobody wants never leaves the kernel.

use crate::entity::EventId;
use crate::error::Error;
use crate::inst::Inst;
use crate::module::Module;
use crate::predicate::Predicate;

/// Joins a predicate into the filter of every `Emit` of the event with this name, besides what is there already. Returns
/// how many `Emit`s there are.
///
/// The predicate must be necessary for everybody who is interested in the event; who joins several interests takes
/// `Any` of them first.
///
/// # Errors
///
/// [`Error::UnknownEvent`], or [`Error::Predicate`] where a field does not exist or cannot be tested so; the module is not
/// changed then.
pub fn push_down(module: &mut Module, event: &str, predicate: &Predicate) -> Result<usize, Error> {
    let found = module.events.iter().find(|(_, schema)| schema.name == event);
    let (id, schema) = found.ok_or_else(|| Error::UnknownEvent(event.to_owned()))?;
    predicate.check(schema).map_err(|fault| Error::Predicate { event: event.to_owned(), fault })?;
    Ok(join_filters(module, id, &predicate.simplify()))
}

fn join_filters(module: &mut Module, event: EventId, predicate: &Predicate) -> usize {
    let mut n_emits = 0;
    let insts = module.functions.values_mut().flat_map(|function| function.insts.values_mut());
    for data in insts {
        let Inst::Emit { event: emitted, filter, .. } = &mut data.inst else { continue };
        if *emitted != event {
            continue;
        }
        n_emits += 1;
        let joined = match filter.take() {
            Some(before) => before.and(predicate.clone()),
            None => predicate.clone(),
        };
        *filter = (joined != Predicate::True).then_some(joined);
    }
    n_emits
}
