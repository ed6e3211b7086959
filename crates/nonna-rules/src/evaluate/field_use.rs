//! Names of fields, as conditions and outputs write them, looked up in the tables.

use nonna_diag::Diagnostic;

use super::fact::{FieldArgument, FieldUse};
use crate::condition::FieldName;
use crate::fields::{self, Argument};
use crate::slugs;

impl FieldUse {
    /// The field of a name, if there is one and its argument fits; with a warning where rules should not use it any more.
    ///
    /// # Errors
    ///
    /// What is wrong with the name, with the name most like it.
    pub fn find(name: &FieldName) -> Result<(FieldUse, Option<Diagnostic>), Box<Diagnostic>> {
        let (field, key) = fields::find(&name.text).ok_or_else(|| unknown_field(name))?;
        let written = name.argument.as_ref().map(|found| String::from_utf8_lossy(&found.bytes).into_owned());
        let argument = match (field.argument, written.or_else(|| key.map(str::to_owned))) {
            (Argument::None, None) | (Argument::OptionalIndex | Argument::OptionalKey, None) => None,
            (Argument::Index | Argument::OptionalIndex, Some(text)) => match text.parse() {
                Ok(index) => Some(FieldArgument::Index(index)),
                Err(_) => return Err(bad_argument(name, &format!("`{text}` is no number"))),
            },
            (Argument::Key | Argument::OptionalKey, Some(text)) => Some(match text.parse() {
                Ok(index) => FieldArgument::Index(index),
                Err(_) => FieldArgument::Key(text),
            }),
            (Argument::None, Some(_)) => return Err(bad_argument(name, "it takes nothing in brackets")),
            (Argument::Index, None) => return Err(bad_argument(name, "it needs a number in brackets")),
            (Argument::Key, None) => return Err(bad_argument(name, "it needs a name in brackets")),
        };
        let warning = field.deprecated.map(|instead| {
            let message = format!("`{}` should not be used any more", field.name);
            Diagnostic::new(&slugs::OLD_FIELD, message).label(name.span, "here").help(instead)
        });
        Ok((FieldUse { field, argument }, warning))
    }
}

fn bad_argument(name: &FieldName, why: &str) -> Box<Diagnostic> {
    let message = format!("`{}` is used wrongly: {why}", name.text);
    Box::new(Diagnostic::new(&slugs::BAD_FIELD_ARGUMENT, message).label(name.span, "here"))
}

fn unknown_field(name: &FieldName) -> Box<Diagnostic> {
    let message = format!("there is no field `{}`", name.text);
    let diagnostic = Diagnostic::new(&slugs::UNKNOWN_RULE_FIELD, message).label(name.span, "here");
    Box::new(match fields::nearest_to(&name.text) {
        Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
        None => diagnostic.help("look at how other rules name what you want to compare"),
    })
}
