//! A slug, its page and its test belong together.
//!
//! Each slug that `declare_slugs!` names is unique, has `docs/diagnostics/<slug>.md` with the four sections that
//! `nonna explain` prints, and appears in at least one test. A page without a slug is left over.

use std::collections::BTreeMap;

use anyhow::Result;

use super::Violation;
use super::lexer::{Kind, Token, code, tokens};
use crate::workspace::{File, Workspace};

const FOLDER: &str = "docs/diagnostics/";
const SECTIONS: &[&str] = &["What", "Why", "Example", "Fix"];

/// A slug where it is declared.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Declared {
    slug: String,
    constant: String,
    path: String,
    line: usize,
}

/// Checks slugs, pages and tests of the workspace.
pub fn check(workspace: &Workspace) -> Result<Vec<Violation>> {
    let sources = workspace.files("crates", |path| path.ends_with(".rs"))?;
    let pages = workspace.files(FOLDER, |path| path.ends_with(".md"))?;
    let in_tests = |path: &str| path.starts_with("tests/") || path.contains("/tests/");
    let mut cases = workspace.files("tests", |_| true)?;
    cases.extend(workspace.files("crates", |path| in_tests(path) && !path.ends_with(".rs"))?);
    Ok(judge(&sources, &pages, &cases))
}

/// `sources` are the Rust files of the rooms, `cases` all other files that belong to tests.
fn judge(sources: &[File], pages: &[File], cases: &[File]) -> Vec<Violation> {
    let declared: Vec<Declared> = sources.iter().flat_map(declared).collect();
    let mut violations = Vec::new();
    let mut first: BTreeMap<&str, &Declared> = BTreeMap::new();
    for slug in &declared {
        if let Some(other) = first.insert(&slug.slug, slug) {
            violations.push(Violation::new(
                &slug.path,
                slug.line,
                "slugs",
                format!("`{}` is declared in {}:{} too", slug.slug, other.path, other.line),
                "give one of them another name",
            ));
        }
    }
    let tests = TestText::of(sources, cases);
    for slug in first.values() {
        let page_path = format!("{FOLDER}{}.md", slug.slug);
        match pages.iter().find(|page| page.path == page_path) {
            Some(page) => violations.extend(page_rules(page, &slug.slug)),
            None => violations.push(Violation::new(
                &slug.path,
                slug.line,
                "slugs",
                format!("`{}` has no page, so `nonna explain {}` has nothing to say", slug.slug, slug.slug),
                format!("write {page_path} with the sections {}", SECTIONS.join(", ")),
            )),
        }
        if !tests.mention(slug) {
            violations.push(Violation::new(
                &slug.path,
                slug.line,
                "slugs",
                format!("no test mentions `{}`", slug.slug),
                "test the text that leads to it",
            ));
        }
    }
    for page in pages {
        let slug = page.path.trim_start_matches(FOLDER).trim_end_matches(".md");
        if !first.contains_key(slug) {
            violations.push(Violation::new(
                &page.path,
                1,
                "slugs",
                format!("no room declares `{slug}`"),
                "declare it with `declare_slugs!` or remove the page",
            ));
        }
    }
    violations
}

/// The slugs that a file declares: `CONSTANT = "slug"` inside `declare_slugs! { … }`.
fn declared(file: &File) -> Vec<Declared> {
    let code = code(&file.text);
    let mut found = Vec::new();
    let mut at = 0;
    while at < code.len() {
        let opens = code[at].is_word("declare_slugs")
            && code.get(at + 1).is_some_and(|t| t.is_punct('!'))
            && code.get(at + 2).is_some_and(|t| matches!(t.kind, Kind::Punct('{' | '(' | '[')));
        if !opens {
            at += 1;
            continue;
        }
        let end = matching(&code, at + 2);
        for three in code[at + 2..end].windows(3) {
            if let [Token { kind: Kind::Word(constant), line }, equals, Token { kind: Kind::Str(slug), .. }] =
                three
                && equals.is_punct('=')
            {
                let (constant, slug) = (constant.clone(), slug.clone());
                found.push(Declared { slug, constant, path: file.path.clone(), line: *line });
            }
        }
        at = end;
    }
    found
}

/// The index after the bracket that closes the one at `open`.
fn matching(code: &[Token], open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in code.iter().enumerate().skip(open) {
        match token.kind {
            Kind::Punct('{' | '(' | '[') => depth += 1,
            Kind::Punct('}' | ')' | ']') => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    code.len()
}

fn page_rules(page: &File, slug: &str) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut report = |line: usize, why: String, fix: &str| {
        violations.push(Violation::new(&page.path, line, "slugs", why, fix));
    };
    if page.text.lines().next() != Some(&format!("# {slug}")) {
        report(1, format!("the page does not open with `# {slug}`"), "name the slug in the first line");
    }
    let mut sections: Vec<(usize, &str, usize)> = Vec::new();
    let mut in_block = false;
    for (at, line) in page.text.lines().enumerate() {
        in_block ^= line.trim_start().starts_with("```");
        if let Some(name) = line.strip_prefix("## ").filter(|_| !in_block) {
            sections.push((at + 1, name.trim(), 0));
        } else if let Some(section) = sections.last_mut().filter(|_| !line.trim().is_empty()) {
            section.2 += 1;
        }
    }
    let names: Vec<&str> = sections.iter().map(|s| s.1).collect();
    if names != SECTIONS {
        let fix = format!("write `## {}`, in this order", SECTIONS.join("`, `## "));
        report(1, format!("the sections are {names:?}"), &fix);
    }
    for (line, name, _) in sections.iter().filter(|s| s.2 == 0) {
        report(*line, format!("the section {name} is empty"), "fill it");
    }
    violations
}

/// Everything that tests say: words and strings of test code, and the text of their cases.
struct TestText {
    /// By room: the folder below `crates/`.
    words: BTreeMap<String, Vec<String>>,
    text: String,
}

impl TestText {
    fn of(sources: &[File], cases: &[File]) -> Self {
        let mut words: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut text = String::new();
        for file in sources {
            let own = words.entry(room(&file.path).to_owned()).or_default();
            for token in test_tokens(file) {
                match token.kind {
                    Kind::Word(word) => own.push(word),
                    Kind::Str(t) | Kind::Comment(t) => {
                        text.push_str(&t);
                        text.push('\n');
                    }
                    Kind::Punct(_) => {}
                }
            }
        }
        for case in cases {
            text.push_str(&case.text);
            text.push('\n');
        }
        Self { words, text }
    }

    /// By its text anywhere, or by its constant in the same room.
    fn mention(&self, slug: &Declared) -> bool {
        let own = self.words.get(room(&slug.path));
        own.is_some_and(|words| words.contains(&slug.constant)) || mentions(&self.text, &slug.slug)
    }
}

fn room(path: &str) -> &str {
    path.split('/').nth(1).unwrap_or(path)
}

/// Whether the slug stands in the text as a word of its own.
fn mentions(text: &str, slug: &str) -> bool {
    let part = |c: Option<char>| c.is_some_and(|c| c == '-' || c == '_' || c.is_ascii_alphanumeric());
    text.match_indices(slug)
        .any(|(at, _)| !part(text[..at].chars().next_back()) && !part(text[at + slug.len()..].chars().next()))
}

/// The tokens of a file that belong to tests: all of a test file, else what stands in `#[cfg(test)] mod … { … }`.
fn test_tokens(file: &File) -> Vec<Token> {
    let all = tokens(&file.text);
    if file.path.contains("/tests/") || file.path.ends_with("/tests.rs") {
        return all;
    }
    let attribute = ["#", "[", "cfg", "(", "test", ")", "]"];
    let is = |token: &Token, text: &str| match &token.kind {
        Kind::Word(word) => word == text,
        Kind::Punct(c) => text.len() == 1 && text.starts_with(*c),
        Kind::Str(_) | Kind::Comment(_) => false,
    };
    let mut found = Vec::new();
    let mut at = 0;
    while at + attribute.len() <= all.len() {
        if !attribute.iter().zip(&all[at..]).all(|(text, token)| is(token, text)) {
            at += 1;
            continue;
        }
        let rest = at + attribute.len();
        let open = all[rest..].iter().position(|t| t.is_punct('{') || t.is_punct(';')).map(|n| rest + n);
        let Some(open) = open else { break };
        let end = if all[open].is_punct('{') { matching(&all, open) } else { open + 1 };
        found.extend_from_slice(&all[open..end]);
        at = end;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> File {
        File { path: path.to_owned(), text: text.to_owned() }
    }

    const SOURCE: &str =
        "//! A.\nnonna_diag::declare_slugs! {\n    /// Bad.\n    BAD_WORD = \"bad-word\", Error, \"x\";\n}\n";
    const PAGE: &str =
        "# bad-word\n\n## What\nx\n## Why\nx\n## Example\n```\n## no section\n```\n## Fix\nx\n";

    fn found(test: &str, page: &str, case: &str) -> Vec<String> {
        let source = format!("{SOURCE}{test}");
        let sources = [file("crates/a/src/lib.rs", &source)];
        let pages = [file("docs/diagnostics/bad-word.md", page)];
        judge(&sources, &pages, &[file("tests/street/a.md", case)]).into_iter().map(|v| v.why).collect()
    }

    #[test]
    fn a_slug_with_page_and_test_passes() {
        assert!(found("#[cfg(test)]\nmod tests { fn f() { g(&BAD_WORD) } }", PAGE, "").is_empty());
        assert!(found("#[cfg(test)]\nmod tests { fn f() { g(\"error[bad-word]\") } }", PAGE, "").is_empty());
        assert!(found("", PAGE, "# error: [bad-word]").is_empty());
    }

    #[test]
    fn a_slug_without_a_test_is_found() {
        let outside = "fn f() { g(&BAD_WORD, \"bad-word\") }";
        assert_eq!(found(outside, PAGE, "a-bad-word bad-words"), ["no test mentions `bad-word`"]);
    }

    #[test]
    fn pages_have_their_sections() {
        let why = found("", &PAGE.replace("## Why\nx", "## Why\n"), "bad-word");
        assert_eq!(why, ["the section Why is empty"]);
        let why = found("", &PAGE.replace("## Fix", "## Cure"), "bad-word");
        assert!(why[0].starts_with("the sections are"), "{why:?}");
        let why = found("", &PAGE.replace("# bad-word", "# Bad"), "bad-word");
        assert_eq!(why, ["the page does not open with `# bad-word`"]);
    }

    #[test]
    fn lost_pages_and_doubles_are_found() {
        let sources = [file("crates/a/src/lib.rs", SOURCE), file("crates/b/src/lib.rs", SOURCE)];
        let pages = [file("docs/diagnostics/bad-word.md", PAGE), file("docs/diagnostics/gone.md", PAGE)];
        let why: Vec<String> =
            judge(&sources, &pages, &[file("tests/a", "bad-word")]).into_iter().map(|v| v.why).collect();
        assert_eq!(why.len(), 2, "{why:?}");
        assert!(why[0].contains("is declared in crates/a/src/lib.rs:4 too"));
        assert_eq!(why[1], "no room declares `gone`");
    }
}
