//! The filter of an `Emit`: tested piece by piece, each as early as what it needs is there.
//!
//! A filter is a necessary condition, so that "not known yet" counts as "may pass": before anything is read, each part is
//! weakened to what the integers alone can refuse. A part is tested in full once, as soon as its last text is in
//! the record. What stays unknown (a text that is absent or was cut) never refuses a record.

use nonna_event::FieldType;
use nonna_ir::{Block, CompareOp, FieldSource, Predicate, Relation, Value};

use super::super::function::Rewriter;
use super::super::shorthand::Shorthand;
use super::super::words;
use super::Plan;
use super::deferred::Deferred;
use super::record::Record;
use super::text;
use super::ways::Ways;

/// The parts of a filter that are still to be tested; all must hold.
pub struct Filter<'p> {
    open: Vec<&'p Predicate>,
}

/// What a test may look at, and where it goes on.
pub struct Stage<'s> {
    pub plan: &'s Plan<'s>,
    /// The record and the fields whose texts are in it.
    pub texts: Option<(&'s Record, &'s [usize])>,
    /// Where a record goes that is not wanted.
    pub refused: Block,
}

impl<'p> Filter<'p> {
    pub fn new(predicate: Option<&'p Predicate>) -> Self {
        let mut open = Vec::new();
        if let Some(predicate) = predicate {
            flatten(predicate, &mut open);
        }
        Self { open }
    }

    /// The text fields that it tests, in order of the schema.
    pub fn text_fields(&self) -> Vec<usize> {
        let mut fields = Vec::new();
        self.open.iter().for_each(|part| collect_texts(part, &mut fields));
        fields.sort_unstable();
        fields.dedup();
        fields
    }

    /// Tests what the integers can tell, before anything else is done.
    pub fn test_integers(
        &mut self,
        r: &mut Rewriter<'_, '_>,
        plan: &Plan<'_>,
        deferred: &mut Deferred,
        refused: Block,
    ) {
        let mut fields = Vec::new();
        self.open.iter().for_each(|part| collect_integers(part, &mut fields));
        for idx in fields {
            if let Some(FieldSource::Scalar(value)) = plan.sources.get(idx) {
                deferred.place_for(r, &[*value]);
            }
        }
        let stage = Stage { plan, texts: None, refused };
        for part in &self.open {
            stage.test(r, part);
        }
        self.open.retain(|part| !texts_of(part).is_empty());
    }

    /// Tests the parts whose texts are all in the record now.
    pub fn test_texts(
        &mut self,
        r: &mut Rewriter<'_, '_>,
        plan: &Plan<'_>,
        record: &Record,
        read: &[usize],
        refused: Block,
    ) {
        let stage = Stage { plan, texts: Some((record, read)), refused };
        self.open.retain(|part| {
            let ready = texts_of(part).iter().all(|field| read.contains(field));
            if ready {
                stage.test(r, part);
            }
            !ready
        });
    }
}

impl Stage<'_> {
    /// Goes on in a new block where the predicate may hold.
    fn test(&self, r: &mut Rewriter<'_, '_>, predicate: &Predicate) {
        if !self.can_refuse(predicate, true) {
            return;
        }
        let passed = r.b.new_block();
        let ways = Ways { yes: passed, no: self.refused, unknown: passed };
        self.branch(r, predicate, ways);
        r.b.switch_to(passed);
    }

    /// Whether the predicate can come out as `no` where texts are not there yet.
    fn can_refuse(&self, predicate: &Predicate, positive: bool) -> bool {
        match predicate {
            Predicate::True => !positive,
            Predicate::False => positive,
            Predicate::Integer { field, .. } | Predicate::OneOf { field, .. } => {
                matches!(self.plan.sources.get(*field), Some(FieldSource::Scalar(_)))
            }
            Predicate::Text { field, .. } => self.has_text(*field),
            Predicate::Not(part) => self.can_refuse(part, !positive),
            // All refuse if one does; with the sign turned, any passes if one does.
            Predicate::All(parts) if positive => parts.iter().any(|p| self.can_refuse(p, positive)),
            Predicate::Any(parts) if !positive => parts.iter().any(|p| self.can_refuse(p, positive)),
            Predicate::All(parts) | Predicate::Any(parts) => {
                parts.iter().all(|p| self.can_refuse(p, positive))
            }
        }
    }

    fn has_text(&self, field: usize) -> bool {
        self.texts.is_some_and(|(_, read)| read.contains(&field))
    }

    /// Ends the current block with the test of a predicate.
    fn branch(&self, r: &mut Rewriter<'_, '_>, predicate: &Predicate, ways: Ways) {
        match predicate {
            Predicate::True => r.b.jump(ways.yes, &[]),
            Predicate::False => r.b.jump(ways.no, &[]),
            Predicate::Not(part) => {
                self.branch(r, part, Ways { yes: ways.no, no: ways.yes, unknown: ways.unknown });
            }
            Predicate::All(parts) => {
                for part in parts {
                    let next = r.b.new_block();
                    let unknown = if ways.unknown == ways.yes { next } else { ways.unknown };
                    self.branch(r, part, Ways { yes: next, no: ways.no, unknown });
                    r.b.switch_to(next);
                }
                r.b.jump(ways.yes, &[]);
            }
            Predicate::Any(parts) => {
                for part in parts {
                    let next = r.b.new_block();
                    let unknown = if ways.unknown == ways.no { next } else { ways.unknown };
                    self.branch(r, part, Ways { yes: ways.yes, no: next, unknown });
                    r.b.switch_to(next);
                }
                r.b.jump(ways.no, &[]);
            }
            Predicate::Integer { field, relation, value } => match self.integer(r, *field) {
                Some((found, signed)) => branch_on_integer(r, found, signed, *relation, *value, ways),
                None => r.b.jump(ways.unknown, &[]),
            },
            Predicate::OneOf { field, values } => match self.integer(r, *field) {
                Some((found, _)) => {
                    let mut words: Vec<(u64, Block)> =
                        values.iter().map(|value| (value.cast_unsigned(), ways.yes)).collect();
                    words::search(&mut r.b, found, &mut words, ways.no);
                }
                None => r.b.jump(ways.unknown, &[]),
            },
            Predicate::Text { field, any } => match self.texts {
                Some((record, read)) if read.contains(field) => {
                    text::branch(r, self.plan, record, *field, any, ways);
                }
                _ => r.b.jump(ways.unknown, &[]),
            },
        }
    }

    /// The value of an integer field as its type holds it, and whether it is signed.
    fn integer(&self, r: &mut Rewriter<'_, '_>, field: usize) -> Option<(Value, bool)> {
        let Some(FieldSource::Scalar(value)) = self.plan.sources.get(field) else { return None };
        let field_type = &self.plan.schema.fields.get(field)?.field_type;
        let signed = matches!(field_type, FieldType::Signed { .. });
        let bits = u8::try_from(field_type.fixed_bytes() * 8).ok()?;
        let value = if bits < 64 { r.b.extend(*value, bits, signed) } else { *value };
        Some((value, signed))
    }
}

fn branch_on_integer(
    r: &mut Rewriter<'_, '_>,
    found: Value,
    signed: bool,
    relation: Relation,
    value: i64,
    ways: Ways,
) {
    let op = match (relation, signed) {
        (Relation::AnyBit, _) => {
            let bits = r.b.op(nonna_ir::BinaryOp::And, found, value);
            let any = r.b.test(CompareOp::Ne, bits, 0);
            return r.b.branch(any, ways.yes, ways.no);
        }
        (Relation::Eq, _) => CompareOp::Eq,
        (Relation::Ne, _) => CompareOp::Ne,
        (Relation::Lt, true) => CompareOp::Slt,
        (Relation::Le, true) => CompareOp::Sle,
        (Relation::Gt, true) => CompareOp::Sgt,
        (Relation::Ge, true) => CompareOp::Sge,
        (Relation::Lt, false) => CompareOp::Ult,
        (Relation::Le, false) => CompareOp::Ule,
        (Relation::Gt, false) => CompareOp::Ugt,
        (Relation::Ge, false) => CompareOp::Uge,
    };
    let holds = r.b.test(op, found, value);
    r.b.branch(holds, ways.yes, ways.no);
}

fn flatten<'p>(predicate: &'p Predicate, parts: &mut Vec<&'p Predicate>) {
    match predicate {
        Predicate::True => {}
        Predicate::All(inner) => inner.iter().for_each(|part| flatten(part, parts)),
        _ => parts.push(predicate),
    }
}

fn texts_of(predicate: &Predicate) -> Vec<usize> {
    let mut fields = Vec::new();
    collect_texts(predicate, &mut fields);
    fields
}

fn collect_texts(predicate: &Predicate, fields: &mut Vec<usize>) {
    visit(predicate, &mut |part| {
        if let Predicate::Text { field, .. } = part {
            fields.push(*field);
        }
    });
}

fn collect_integers(predicate: &Predicate, fields: &mut Vec<usize>) {
    visit(predicate, &mut |part| {
        if let Predicate::Integer { field, .. } | Predicate::OneOf { field, .. } = part {
            fields.push(*field);
        }
    });
}

fn visit<'p>(predicate: &'p Predicate, f: &mut impl FnMut(&'p Predicate)) {
    f(predicate);
    match predicate {
        Predicate::All(parts) | Predicate::Any(parts) => parts.iter().for_each(|part| visit(part, f)),
        Predicate::Not(part) => visit(part, f),
        _ => {}
    }
}
