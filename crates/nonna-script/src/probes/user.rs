//! Functions of programs and libraries: `uprobe`, `uretprobe`.

use nonna_bpf::{Hook, ProbePoint, SymbolError, UserLocation};
use nonna_diag::Diagnostic;

use super::glob;
use super::{Ask, Context, Found, noted};
use crate::lexer::parse_int;

impl Ask<'_> {
    /// `uprobe:BINARY:FUNCTION`, `BINARY:FUNCTION+OFFSET`, `BINARY:ADDRESS`.
    pub(super) fn uprobe(&self, rest: &str, point: ProbePoint) -> Found {
        // The binary may hold a colon, so the last one counts; a C++ signature is quoted and has a prefix.
        let (binary_name, symbol) = match rest.split_once(":cpp:") {
            Some((binary, symbol)) => (binary, symbol),
            None => {
                rest.rsplit_once(':').ok_or_else(|| self.malformed("a program and a function must follow"))?
            }
        };
        if binary_name.is_empty() || symbol.is_empty() {
            return Err(self.malformed("a program and a function must follow"));
        }
        let pid = self.env.options.target_pid;
        let symbols = &self.env.target.symbols;
        let Some(binary) = symbols.find_binary(binary_name, pid) else {
            return Err(self.missing("program or library", binary_name, &[]));
        };
        let place = |symbol: Option<String>, file_offset: u64, shown: &str| {
            let location = UserLocation { binary: binary.clone(), symbol, file_offset, pid };
            let name = format!("{}:{}:{shown}", self.kind.name, binary.display());
            let function = shown.split('+').next().unwrap_or(shown);
            let context = Context::Uprobe { at_return: point == ProbePoint::Return };
            self.place(Hook::Uprobe { location, point }, name, function, context)
        };
        if glob::is_pattern(symbol) {
            let all = symbols.user_symbols(&binary).map_err(|error| self.symbol_error(&error))?;
            let found: Vec<_> = all
                .iter()
                .filter(|s| glob::matches(symbol, &s.name))
                .map(|s| place(Some(s.name.clone()), s.file_offset, &s.name))
                .collect();
            return if found.is_empty() { Err(self.no_match(symbol)) } else { Ok(found) };
        }
        if let Ok(offset) = parse_int(symbol) {
            return Ok(vec![place(None, offset, symbol)]);
        }
        let (name, plus) = symbol.split_once('+').map_or((symbol, None), |(n, o)| (n, Some(o)));
        let plus = match plus {
            None => 0,
            Some(_) if point == ProbePoint::Return => return Err(self.malformed("a return has no offset")),
            Some(text) => parse_int(text).map_err(|reason| self.malformed(reason))?,
        };
        let found = symbols.user_symbol(&binary, name).map_err(|error| self.symbol_error(&error))?;
        Ok(vec![place(Some(name.to_owned()), found.file_offset.saturating_add(plus), symbol)])
    }

    fn symbol_error(&self, error: &SymbolError) -> Box<Diagnostic> {
        match error {
            SymbolError::NotFound { name, near, path } => {
                noted(self.missing("function", name, near), format!("`{path}` has no such symbol"))
            }
            SymbolError::Indirect { name, implementations, .. } => noted(
                self.missing("single function", name, implementations),
                "one of several is chosen when the program starts; name the one you mean",
            ),
            SymbolError::File { path, reason } => {
                noted(self.missing("program or library", path, &[]), format!("it cannot be read: {reason}"))
            }
        }
    }
}
