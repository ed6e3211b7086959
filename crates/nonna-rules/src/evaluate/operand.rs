//! Operands of tests: fields, and what transformers make of them, with the types that each takes and gives.

use nonna_diag::{Diagnostic, Span};

use super::compile::{Compiler, is_text};
use super::made::{Change, Shape, Source};
use crate::condition::{Literal, Operand, Transformer};
use crate::fields::FieldType;
use crate::slugs;

const TEXT: Shape = Shape { field_type: FieldType::Text, is_list: false };

impl Compiler<'_> {
    /// Where the value of an operand comes from and what it is; `None` where it is wrong, which is told.
    pub(super) fn operand(&mut self, operand: &Operand) -> Option<(Source, Shape)> {
        match operand {
            Operand::Field(name) => {
                let field = self.field(name)?;
                let shape = Shape { field_type: field.field.field_type, is_list: field.field.is_list };
                Some((Source::Field(self.slot(field)), shape))
            }
            Operand::Literal(literal) => Some((Source::Text(literal.bytes.clone()), TEXT)),
            Operand::List { operands, span } => {
                let text = |operand: &Operand| match operand {
                    Operand::Literal(literal) => Some(literal.bytes.clone()),
                    _ => None,
                };
                let Some(texts) = operands.iter().map(text).collect() else {
                    return self.bad_operand(*span, "only texts can stand in a list here");
                };
                Some((Source::Texts(texts), Shape { is_list: true, ..TEXT }))
            }
            Operand::Transformed { transformer, span, operands, argument } => {
                let made: Vec<_> = operands.iter().map(|operand| self.operand(operand)).collect();
                let made = made.into_iter().collect::<Option<Vec<_>>>()?;
                if let Some(argument) = argument.as_ref().filter(|_| *transformer != Transformer::GetOpt) {
                    let message = format!("`{}` takes nothing in brackets", transformer.name());
                    return self.bad_operand(argument.span, &message);
                }
                self.transformed(*transformer, *span, made, argument.as_ref())
            }
        }
    }

    fn transformed(
        &mut self,
        transformer: Transformer,
        span: Span,
        mut made: Vec<(Source, Shape)>,
        argument: Option<&Literal>,
    ) -> Option<(Source, Shape)> {
        let change = match transformer {
            Transformer::Join => return self.join(span, made),
            Transformer::Concat => return self.concat(span, made),
            Transformer::GetOpt => return self.options(span, made, argument),
            Transformer::ToLower => Some(Change::SmallLetters),
            Transformer::ToUpper => Some(Change::CapitalLetters),
            Transformer::Base64 => Some(Change::FromBase64),
            Transformer::Basename => Some(Change::LastPart),
            Transformer::Value | Transformer::Length => None,
        };
        let name = transformer.name();
        if made.len() != 1 {
            return self.bad_operand(span, &format!("`{name}` takes one field, not {}", made.len()));
        }
        let (source, shape) = made.pop()?;
        if let Some(change) = change {
            let is_good =
                is_text(shape.field_type) && (shape.field_type != FieldType::Bytes || name == "b64");
            if is_good {
                return Some((Source::Each(change, Box::new(source)), shape));
            }
        } else if transformer == Transformer::Value {
            return Some((source, shape));
        } else if shape.is_list || is_text(shape.field_type) {
            let length = Source::Length { of: Box::new(source), of_list: shape.is_list };
            return Some((length, Shape { field_type: FieldType::Unsigned, is_list: false }));
        }
        let message = format!("`{name}` does not go with this field, which is {}", shape.field_type.name());
        self.bad_operand(span, &message)
    }

    fn join(&mut self, span: Span, made: Vec<(Source, Shape)>) -> Option<(Source, Shape)> {
        match <[_; 2]>::try_from(made) {
            Ok([(separator, between), (list, all)])
                if !between.is_list && all.is_list && is_text(all.field_type) =>
            {
                Some((Source::Join { separator: Box::new(separator), list: Box::new(list) }, TEXT))
            }
            _ => self.bad_operand(span, "`join` takes a text and a list, as in `join(\",\", fd.types)`"),
        }
    }

    fn concat(&mut self, span: Span, made: Vec<(Source, Shape)>) -> Option<(Source, Shape)> {
        if made.len() < 2 || made.iter().any(|(_, shape)| shape.is_list || !is_text(shape.field_type)) {
            return self.bad_operand(span, "`concat` takes two texts or more");
        }
        Some((Source::Concat(made.into_iter().map(|(source, _)| source).collect()), TEXT))
    }

    fn options(
        &mut self,
        span: Span,
        made: Vec<(Source, Shape)>,
        argument: Option<&Literal>,
    ) -> Option<(Source, Shape)> {
        let selected = match argument.map(|argument| (argument.span, argument.bytes.as_slice())) {
            None => None,
            Some((_, [letter])) => Some(*letter),
            Some((span, _)) => return self.bad_operand(span, "one letter of an option should stand here"),
        };
        match <[_; 2]>::try_from(made) {
            Ok([(arguments, list), (known, text)])
                if list.is_list && !text.is_list && is_text(list.field_type) && is_text(text.field_type) =>
            {
                let source =
                    Source::Options { arguments: Box::new(arguments), known: Box::new(known), selected };
                Some((source, Shape { is_list: selected.is_none(), ..TEXT }))
            }
            _ => {
                self.bad_operand(span, "`getopt` takes a list and a text, as in `getopt((\"-a\"), \"ab:\")`")
            }
        }
    }

    pub(super) fn bad_operand<T>(&mut self, span: Span, message: &str) -> Option<T> {
        self.diagnostics.push(Diagnostic::new(&slugs::OPERATOR_MISMATCH, message).label(span, "here"));
        None
    }
}
