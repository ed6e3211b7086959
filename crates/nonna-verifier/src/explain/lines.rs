//! The source line of an instruction, and what its text says: names of variables, arguments of calls.
//!
//! Line information holds the text of lines and no syntax tree, so names are read off the forms that people write most:
//! `name = call(...)`, `name[index]`, `pointer->field`. Whatever does not look like that yields nothing, and the explanation speaks of
//! registers instead.

use nonna_diag::{SourceId, Sources, Span};

use super::shape::Shape;

/// Lines of a program.
pub(super) struct Lines<'a> {
    sources: Option<&'a Sources>,
}

/// A source line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line<'a> {
    pub(super) source: SourceId,
    /// From 1.
    pub(super) number: usize,
    pub(super) text: &'a str,
    /// Byte of the source at which it begins.
    pub(super) start: usize,
}

impl<'a> Lines<'a> {
    pub(super) fn new(sources: Option<&'a Sources>) -> Lines<'a> {
        Lines { sources }
    }

    /// Where an instruction comes from.
    pub(super) fn span(shape: &Shape<'_>, insn: usize) -> Option<Span> {
        let slot = shape.slots.slot(insn);
        let located = shape.program.locations.partition_point(|(at, _)| *at <= slot);
        Some(shape.program.locations.get(located.checked_sub(1)?)?.1)
    }

    /// The line that an instruction comes from.
    pub(super) fn line(&self, shape: &Shape<'_>, insn: usize) -> Option<Line<'a>> {
        let span = Self::span(shape, insn)?;
        let source = self.sources?.get(span.source)?;
        let number = source.line_column(span.start).line;
        self.numbered(span.source, number)
    }

    /// Whether a source is in C, so that its lines can be read and written.
    pub(super) fn is_c(&self, source: SourceId) -> bool {
        let name = self.sources.and_then(|sources| sources.get(source)).map(nonna_diag::Source::name);
        name.is_some_and(|name| [".c", ".h"].iter().any(|end| name.ends_with(end)))
    }

    /// A line by number, if it became code.
    pub(super) fn numbered(&self, source: SourceId, number: usize) -> Option<Line<'a>> {
        let found = self.sources?.get(source)?;
        let text = found.line(number).filter(|text| !text.trim().is_empty())?;
        let start = text.as_ptr() as usize - found.text().as_ptr() as usize;
        Some(Line { source, number, text, start })
    }
}

impl<'a> Line<'a> {
    /// The space before its text.
    pub(super) fn indent(&self) -> &'a str {
        &self.text[..self.text.len() - self.text.trim_start().len()]
    }

    /// The place in front of the line.
    pub(super) fn before(&self) -> Span {
        Span::new(self.source, self.start, self.start)
    }

    /// The place of a part of its text.
    pub(super) fn part(&self, start: usize, end: usize) -> Span {
        Span::new(self.source, self.start + start, self.start + end)
    }

    /// The place after its line end.
    pub(super) fn after(&self) -> Span {
        let end = self.start + self.text.len() + 1;
        Span::new(self.source, end, end)
    }

    /// The variable that the result of a call goes to: `name = call(`, perhaps with casts.
    pub(super) fn assigned_from(&self, what: &str) -> Option<&'a str> {
        let at = find_word(self.text, what)?;
        let rest = self.text[at + what.len()..].trim_start();
        // What is done to the result is not what was returned.
        if let Some(end) = rest.strip_prefix('(').and_then(closing)
            && !is_end(&rest[end + 2..])
        {
            return None;
        }
        let mut before = self.text[..at].trim_end();
        // Casts, and the parentheses around them.
        loop {
            let cut = before.trim_end();
            if let Some(rest) = cut.strip_suffix(')') {
                let open = matching_open(rest)?;
                before = &rest[..open];
            } else if let Some(rest) = cut.strip_suffix('(').or_else(|| cut.strip_suffix("->")) {
                before = rest;
            } else {
                before = cut;
                break;
            }
        }
        let before = before.strip_suffix('=')?;
        if before.ends_with(['=', '!', '<', '>', '+', '-', '*', '/', '|', '&', '^', '%']) {
            return None;
        }
        last_place(before)
    }

    /// As [`Line::assigned_from`], where the value is a member: `name = … base->member`.
    pub(super) fn assigned_member(&self, member: &str) -> Option<&'a str> {
        let arrow = format!("->{member}");
        let at = self.text.find(&arrow)?;
        let rest = &self.text[at + arrow.len()..];
        if rest.starts_with(|c: char| c.is_alphanumeric() || c == '_') || !is_end(rest) {
            return None;
        }
        let equals = self.text[..at].rfind('=')?;
        let between = &self.text[equals + 1..at];
        if between.contains(['+', '-', ';', '=']) {
            return None;
        }
        last_place(&self.text[..equals])
    }

    /// The variable that this line sets: `name = …`.
    pub(super) fn sets(&self) -> Option<&'a str> {
        let (before, after) = self.text.split_once('=')?;
        let compares = before.ends_with(['!', '<', '>', '+', '-', '*', '/', '|', '&', '^', '%']);
        if compares || after.starts_with('=') || before.contains('(') {
            return None;
        }
        last_place(before)
    }

    /// The pointer of which a member is read: `base->member`.
    pub(super) fn base_of(&self, member: &str) -> Option<&'a str> {
        let at = self.text.find(&format!("->{member}"))?;
        last_place(&self.text[..at])
    }

    /// The arguments of a call, where all of them stand on this line.
    pub(super) fn arguments(&self, called: &str) -> Option<Vec<&'a str>> {
        let at = find_word(self.text, called)?;
        let rest = &self.text[at + called.len()..];
        let inner = rest.trim_start().strip_prefix('(')?;
        let (mut depth, mut start, mut found) = (0, 0, Vec::new());
        for (index, c) in inner.char_indices() {
            match c {
                '(' | '[' | '{' => depth += 1,
                ')' if depth == 0 => {
                    found.push(inner[start..index].trim());
                    return Some(found);
                }
                ')' | ']' | '}' => depth -= 1,
                ',' if depth == 0 => {
                    found.push(inner[start..index].trim());
                    start = index + 1;
                }
                _ => {}
            }
        }
        None
    }

    /// The value in `return value;`, where that is all of the line, with its place.
    pub(super) fn returned(&self) -> Option<(Span, &'a str)> {
        let text = without_comment(self.text);
        let value = text.trim_start().strip_prefix("return ")?.strip_suffix(';')?.trim();
        if value.is_empty() || value.contains(';') {
            return None;
        }
        let start = value.as_ptr() as usize - self.text.as_ptr() as usize;
        Some((self.part(start, start + value.len()), value))
    }

    /// The one index in square brackets on this line; `None` where there are several or none.
    pub(super) fn index(&self) -> Option<&'a str> {
        let open = self.text.find('[')?;
        let close = open + self.text[open..].find(']')?;
        if self.text[close..].contains('[') {
            return None;
        }
        let index = self.text[open + 1..close].trim();
        is_simple(index).then_some(index)
    }

    /// The one pointer that is followed on this line: `name->`, or `*name`.
    pub(super) fn followed(&self) -> Option<&'a str> {
        let arrow = self.text.match_indices("->").collect::<Vec<_>>();
        if let [(at, _)] = arrow[..] {
            return last_place(&self.text[..at]).filter(|name| !name.contains('>'));
        }
        if !arrow.is_empty() {
            return None;
        }
        // A star that multiplies has an operand before it.
        let stars: Vec<usize> = self
            .text
            .match_indices('*')
            .map(|(at, _)| at)
            .filter(|at| {
                let before = self.text[..*at].trim_end();
                before.is_empty()
                    || before.ends_with("return")
                    || before.ends_with(['(', '=', '!', '&', '|', ';', ',', '<', '>', '+', '-'])
            })
            .collect();
        let [star] = stars[..] else { return None };
        let rest = &self.text[star + 1..];
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        (end > 0 && !rest[end..].starts_with(['(', '-', '.'])).then(|| &rest[..end])
    }

    /// The one member or element that is read on this line: `base->member`, or `base[index]`.
    pub(super) fn member_or_element(&self) -> Option<&'a str> {
        let mark = |text: &str| self.text.matches(text).count();
        let (at, end) = match (mark("->"), mark("[")) {
            (1, 0) => {
                let at = self.text.find("->")?;
                let member = &self.text[at + 2..];
                let end = member.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(member.len());
                (at, at + 2 + end)
            }
            (0, 1) => {
                let at = self.text.find('[')?;
                (at, at + self.text[at..].find(']')? + 1)
            }
            _ => return None,
        };
        let base = last_place(&self.text[..at])?;
        Some(&self.text[at - base.len()..end])
    }

    /// Whether a loop begins here.
    pub(super) fn begins_loop(&self) -> bool {
        let text = self.text.trim_start();
        ["while (", "for (", "do {", "while(", "for("].iter().any(|start| text.starts_with(start))
    }

    /// Whether instructions stand here as such.
    pub(super) fn is_assembly(&self) -> bool {
        find_word(self.text, "asm").or_else(|| find_word(self.text, "__asm__")).is_some()
    }

    /// The pointer of which the member at a byte of this line is read.
    pub(super) fn followed_at(&self, byte: usize) -> Option<&'a str> {
        let before = self.text.get(..byte)?.strip_suffix("->")?;
        last_place(before).filter(|name| !name.contains('>'))
    }

    /// Whether a statement of its own can be put in front of this line.
    pub(super) fn begins_statement(&self, lines: &Lines<'_>) -> bool {
        let text = self.text.trim_start();
        let is_part = text.starts_with(['}', ')', ']', '.', '?', ':', '&', '|', '+', ',', '='])
            || text.starts_with("else")
            || text.starts_with("case ")
            || text.starts_with("default:");
        !is_part
            && !self.number.checked_sub(1).is_some_and(|n| {
                // The line before may be the head of this statement.
                lines.numbered(self.source, n).is_some_and(|before| {
                    let before = without_comment(before.text);
                    !before.ends_with([';', '{', '}', ':']) && !before.starts_with('#')
                })
            })
    }

    /// Whether a statement of its own can be put after this line.
    pub(super) fn ends_statement(&self) -> bool {
        let text = without_comment(self.text);
        let trimmed = text.trim_start();
        let is_branch = ["if", "for", "while", "else", "switch", "case", "return"].iter().any(|word| {
            trimmed
                .strip_prefix(word)
                .is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
        });
        text.ends_with(';') && !is_branch && text.matches('(').count() == text.matches(')').count()
    }
}

/// A line without the comment at its end and the space before that.
fn without_comment(text: &str) -> &str {
    let end = text.find("//").or_else(|| text.find("/*")).unwrap_or(text.len());
    text[..end].trim_end()
}

/// Whether a text is a name, or names joined by `.` and `->`, perhaps with a constant after it.
fn is_simple(text: &str) -> bool {
    !text.is_empty()
        && text.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '>' | ' ' | '+'))
        && !text.contains("++")
        && !text.contains("--")
}

/// The name at the end of a text, with the structures that it is a member of.
fn last_place(text: &str) -> Option<&str> {
    let text = text.trim_end();
    let start = text
        .char_indices()
        .rev()
        .take_while(|(index, c)| {
            c.is_alphanumeric()
                || matches!(c, '_' | '.')
                || *c == '>' && text[..*index].ends_with('-')
                || *c == '-' && text[*index..].starts_with("->")
        })
        .last()?
        .0;
    let name = &text[start..];
    name.starts_with(|c: char| c.is_alphabetic() || c == '_').then_some(name)
}

/// Where the bracket closes that opened just before a text.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0;
    for (index, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' if depth == 0 => return Some(index),
            ')' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// Whether an expression ends where this text begins.
fn is_end(text: &str) -> bool {
    let rest = without_comment(text);
    // The next variable of a declaration may follow.
    let end = rest.find([',', ';']).unwrap_or(rest.len());
    rest[..end].chars().all(|c| matches!(c, ')' | ' ' | '\t'))
}

/// Where the bracket opens that closes at the end of a text.
fn matching_open(text: &str) -> Option<usize> {
    let mut depth = 0;
    for (index, c) in text.char_indices().rev() {
        match c {
            ')' => depth += 1,
            '(' if depth == 0 => return Some(index),
            '(' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// Where a whole word stands.
pub(super) fn find_word(text: &str, word: &str) -> Option<usize> {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word)
        .map(|(at, _)| at)
        .find(|at| !text[..*at].ends_with(part) && !text[at + word.len()..].starts_with(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Line<'_> {
        Line { source: SourceId(0), number: 1, text, start: 0 }
    }

    #[test]
    fn names_are_read_off_assignments() {
        let look = "bpf_map_lookup_elem";
        let name = |text: &'static str| line(text).assigned_from(look);
        assert_eq!(name("\tu64 *count = bpf_map_lookup_elem(&counts, &key);"), Some("count"));
        assert_eq!(name("  s->count = (u64 *)bpf_map_lookup_elem(&counts, &key);"), Some("s->count"));
        assert_eq!(name("if (bpf_map_lookup_elem(&counts, &key))"), None);
        assert_eq!(name("return bpf_map_lookup_elem(&counts, &key);"), None);
        assert_eq!(name("if (x == bpf_map_lookup_elem(&counts, &key))"), None);
        assert_eq!(line("void *data = (void *)(long)ctx->data;").assigned_member("data"), Some("data"));
        assert_eq!(line("void *end = (void *)(long)ctx->data_end;").assigned_member("data"), None);
        assert_eq!(line("x = 1 + ctx->data;").assigned_member("data"), None);
        let both = line("void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;");
        assert_eq!(
            (both.assigned_member("data"), both.assigned_member("data_end")),
            (Some("data"), Some("end"))
        );
        assert_eq!(line("int index = (int)skb->mark - 5;").assigned_member("mark"), None);
        assert_eq!(line("u64 n = bpf_ktime_get_ns() / 1000;").assigned_from("bpf_ktime_get_ns"), None);
        assert_eq!(line("u16 *port = (void *)ip + length;").sets(), Some("port"));
        assert_eq!(line("if (a == b)").sets(), None);
    }

    #[test]
    fn arguments_are_split_at_their_commas() {
        let call = line("\tbpf_probe_read_user(buf, MIN(len, 3), (void *)ctx->a);");
        assert_eq!(call.arguments("bpf_probe_read_user").unwrap(), ["buf", "MIN(len, 3)", "(void *)ctx->a"]);
        assert_eq!(line("bpf_probe_read_user(buf,").arguments("bpf_probe_read_user"), None);
    }

    #[test]
    fn what_is_indexed_and_followed_is_found() {
        assert_eq!(line("v = table->row[i];").index(), Some("i"));
        assert_eq!(line("v = a[b[i]];").index(), None);
        assert_eq!(line("proto = eth->h_proto;").followed(), Some("eth"));
        assert_eq!(line("\t*count += 1;").followed(), Some("count"));
        assert_eq!(line("x = a * b;").followed(), None);
        assert_eq!(line("if (*port == 80)").followed(), Some("port"));
        assert_eq!(line("return *used > *most;").followed(), None);
    }

    #[test]
    fn statements_go_where_statements_may_stand() {
        assert!(line("u32 x = f(1);").ends_statement());
        assert!(!line("if (a) x = f(1);").ends_statement());
        assert!(!line("x = f(1,").ends_statement());
    }
}
