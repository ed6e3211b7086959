//! Exceptions as conditions: a rule keeps quiet where one of the values fits in all fields.

use nonna_diag::{Diagnostic, Span};

use super::{Resolved, Resolver};
use crate::condition::{Check, FieldName, Literal, Name, Operand, Operator, Right};
use crate::load::{Exception, Rule, Value, Values};
use crate::slugs;

impl Resolver<'_> {
    /// The exceptions of a rule that have values; `None` where one is wrong.
    pub(super) fn exceptions(&mut self, rule: &Rule) -> Option<Vec<Resolved>> {
        let with_values = rule.exceptions.iter().filter(|exception| !exception.values.is_empty());
        let found: Vec<Option<Resolved>> = with_values.map(|exception| self.exception(exception)).collect();
        found.into_iter().collect()
    }

    fn exception(&mut self, exception: &Exception) -> Option<Resolved> {
        let (fields, operators) = (&exception.fields, &exception.operators);
        if exception.is_single {
            let values = exception.values.iter().flat_map(|values| &values.fields);
            let literals: Vec<Literal> = values.filter_map(one).map(literal).collect();
            return self.compared(
                fields.first()?,
                *operators.first()?,
                Right::List(literals),
                exception.span,
            );
        }
        let rows: Vec<Option<Resolved>> =
            exception.values.iter().map(|row| self.row(exception, row)).collect();
        let mut rows: Vec<Resolved> = rows.into_iter().collect::<Option<_>>()?;
        Some(if rows.len() == 1 { rows.remove(0) } else { Resolved::Any(rows) })
    }

    fn row(&mut self, exception: &Exception, row: &Values) -> Option<Resolved> {
        let mut parts = Vec::new();
        for ((field, operator), value) in exception.fields.iter().zip(&exception.operators).zip(&row.fields) {
            let right = match value {
                Value::Many(values) if operator.takes_list() => {
                    Right::List(values.iter().map(literal).collect())
                }
                Value::Many(values) => {
                    let span = values.first().map_or(row.span, |value| value.span);
                    let message =
                        format!("`{}` compares with one value, and several stand here", operator.name());
                    self.diagnostics.push(
                        Diagnostic::new(&slugs::BAD_EXCEPTION, message).label(span, "here").help(
                            "give the field an operator for lists in `comps`: `in`, `pmatch` or `intersects`",
                        ),
                    );
                    return None;
                }
                // One text may hold a whole list in its parentheses.
                Value::One(value) if operator.takes_list() => Right::List(listed(value)),
                Value::One(value) => Right::Value(literal(value)),
            };
            parts.push(self.compared(field, *operator, right, row.span)?);
        }
        Some(if parts.len() == 1 { parts.remove(0) } else { Resolved::All(parts) })
    }

    fn compared(&mut self, field: &Name, operator: Operator, right: Right, span: Span) -> Option<Resolved> {
        let check = Check {
            span,
            left: Operand::Field(field_name(field)),
            operator,
            operator_span: field.span,
            modifier: None,
            right,
        };
        self.check(check).map(Resolved::Check)
    }
}

fn one(value: &Value) -> Option<&Name> {
    if let Value::One(value) = value { Some(value) } else { None }
}

fn literal(value: &Name) -> Literal {
    Literal::outside(&value.text, value.span)
}

fn listed(value: &Name) -> Vec<Literal> {
    let inner = value.text.trim().strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
    let Some(inner) = inner else { return vec![literal(value)] };
    let parts = inner.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts.map(|part| literal(&Name { text: part.to_owned(), span: value.span })).collect()
}

/// A field as it is written in an exception: `name` or `name[argument]`.
fn field_name(field: &Name) -> FieldName {
    let span = field.span;
    if let Some((name, argument)) = field.text.strip_suffix(']').and_then(|text| text.split_once('[')) {
        let argument = Literal { bytes: argument.as_bytes().to_vec(), quoted: false, span };
        return FieldName { text: name.to_owned(), argument: Some(argument), span };
    }
    FieldName { text: field.text.clone(), argument: None, span }
}
