//! Rules for every Rust file: length, module docs, `unsafe`, unfinished work, silent skips, names.

use anyhow::Result;

use super::Violation;
use super::exceptions::{self, Exceptions};
use super::lexer::{Kind, Token, tokens};
use crate::workspace::{File, Workspace};

const MAX_LINES: usize = 800;
/// Words in a file's or crate's name that say nothing about what is inside.
const EMPTY_NAMES: &[&str] = &["util", "utils", "common", "manager", "helpers", "misc"];
/// Folders of the tools that run tests, and so may speak of skips.
const RUNNERS: &[&str] = &["crates/nonna-testkit/", "xtask/"];
/// Words in comments that mark unfinished work.
const UNFINISHED: &[&str] = &["TODO", "FIXME", "XXX", "HACK"];

/// Checks every Rust file of the workspace.
pub fn check(workspace: &Workspace, exceptions: &Exceptions) -> Result<Vec<Violation>> {
    let files = workspace.files("", |path| path.ends_with(".rs"))?;
    let mut violations: Vec<Violation> = files.iter().flat_map(|file| file_rules(file, exceptions)).collect();
    violations.extend(stale(&files, exceptions));
    for package in workspace.members() {
        let path = workspace.relative(package.manifest_path.as_std_path());
        if let Some(word) = empty_name(&package.name) {
            violations.push(name_violation(&path, word));
        }
    }
    Ok(violations)
}

fn file_rules(file: &File, exceptions: &Exceptions) -> Vec<Violation> {
    let tokens = tokens(&file.text);
    let mut violations = Vec::new();
    violations.extend(length(file, exceptions));
    violations.extend(module_docs(file, &tokens));
    violations.extend(unfinished(file, &tokens));
    violations.extend(silent_skips(file, &tokens));
    if !exceptions.may_be_unsafe(&file.path) {
        violations.extend(unsafe_words(file, &tokens));
    }
    if let Some(word) = file.path.split('/').find_map(empty_name)
        && !exceptions.may_be_named(&file.path)
    {
        violations.push(name_violation(&file.path, word));
    }
    violations
}

fn length(file: &File, exceptions: &Exceptions) -> Option<Violation> {
    let lines = file.text.lines().count();
    let granted = exceptions.large_file.iter().find(|l| l.path == file.path).map(|l| l.lines);
    let limit = granted.unwrap_or(MAX_LINES);
    (lines > limit).then(|| {
        Violation::new(
            &file.path,
            limit + 1,
            "size",
            format!("{lines} lines, {limit} are allowed: nobody reads a file of this length"),
            "split it by idea; a flat table can be listed in tidy.toml",
        )
    })
}

fn module_docs(file: &File, tokens: &[Token]) -> Option<Violation> {
    let first = tokens.iter().find_map(|t| if let Kind::Comment(c) = &t.kind { Some(c) } else { None });
    let documented = tokens.first().is_some_and(Token::is_comment)
        && first.is_some_and(|c| c.strip_prefix("//!").is_some_and(|rest| !rest.trim().is_empty()));
    (!documented).then(|| {
        Violation::new(
            &file.path,
            1,
            "module-docs",
            "the file does not open with `//!`, so its place in the whole is anybody's guess",
            "say in `//!` what it is, why it is here and what it must not do",
        )
    })
}

fn unsafe_words(file: &File, tokens: &[Token]) -> Vec<Violation> {
    let is_unsafe = |t: &&Token| t.is_word("unsafe");
    let report = |t: &Token| {
        Violation::new(
            &file.path,
            t.line,
            "unsafe",
            "`unsafe` outside the rooms that may say it",
            "use a safe wrapper, or move the call behind the door in nonna-kernel",
        )
    };
    tokens.iter().filter(is_unsafe).map(report).collect()
}

fn unfinished(file: &File, tokens: &[Token]) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut report = |line: usize, what: &str| {
        violations.push(Violation::new(
            &file.path,
            line,
            "unfinished",
            format!("{what} marks work that is not done"),
            "do it, or leave it out and say so where people look for it",
        ));
    };
    for (at, token) in tokens.iter().enumerate() {
        let next = |n: usize| tokens.get(at + n);
        match &token.kind {
            Kind::Comment(text) => {
                let mut words = text.split(|c: char| !c.is_ascii_alphanumeric());
                if let Some(word) = words.find(|w| UNFINISHED.contains(w)) {
                    report(token.line, &format!("`{word}`"));
                }
            }
            Kind::Word(word)
                if matches!(word.as_str(), "todo" | "unimplemented")
                    && next(1).is_some_and(|t| t.is_punct('!')) =>
            {
                report(token.line, &format!("`{word}!`"));
            }
            Kind::Punct('#')
                if next(1).is_some_and(|t| t.is_punct('['))
                    && next(2).is_some_and(|t| t.is_word("ignore")) =>
            {
                report(token.line, "`#[ignore]`");
            }
            _ => {}
        }
    }
    violations
}

/// A test that prints that it is skipped and returns has passed, as far as anybody counts.
fn silent_skips(file: &File, tokens: &[Token]) -> Vec<Violation> {
    let is_runner = RUNNERS.iter().any(|runner| file.path.starts_with(runner));
    let prints = |t: &Token| ["println", "eprintln", "print", "eprint"].iter().any(|name| t.is_word(name));
    let skips = |four: &&[Token]| match four {
        [print, bang, _, Token { kind: Kind::Str(text), .. }] => {
            prints(print) && bang.is_punct('!') && text.to_lowercase().contains("skip")
        }
        _ => false,
    };
    let report = |four: &[Token]| {
        Violation::new(
            &file.path,
            four[0].line,
            "silent-skip",
            "a test that prints that it is skipped counts as passed",
            "declare the need in a nonna_testkit suite, whose skips are typed, counted and pinned",
        )
    };
    if is_runner { Vec::new() } else { tokens.windows(4).filter(skips).map(report).collect() }
}

fn empty_name(name: &str) -> Option<&'static str> {
    let stem = name.strip_suffix(".rs").unwrap_or(name);
    EMPTY_NAMES.iter().copied().find(|word| stem.split(['_', '-']).any(|part| part == *word))
}

fn name_violation(path: &str, word: &str) -> Violation {
    Violation::new(
        path,
        1,
        "names",
        format!("`{word}` in a name says nothing about what is inside"),
        "name the thing; tidy.toml grants the word where it is a term of the field",
    )
}

/// Exceptions that nothing needs any more.
fn stale(files: &[File], exceptions: &Exceptions) -> Vec<Violation> {
    let file = |path: &str| files.iter().find(|f| f.path == path);
    let mut violations = Vec::new();
    let mut report = |path: &str| {
        violations.push(Violation::new(
            exceptions::FILE,
            1,
            "stale-exception",
            format!("`{path}` no longer needs its exception"),
            "remove it",
        ));
    };
    for large in &exceptions.large_file {
        if file(&large.path).is_none_or(|f| f.text.lines().count() <= MAX_LINES) {
            report(&large.path);
        }
    }
    for granted in &exceptions.file_name {
        if !files.iter().any(|f| f.path.starts_with(&granted.path)) {
            report(&granted.path);
        }
    }
    for room in &exceptions.unsafe_room {
        if !files.iter().any(|f| f.path.starts_with(&room.path)) {
            report(&room.path);
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(path: &str, text: &str) -> Vec<(&'static str, usize)> {
        let file = File { path: path.to_owned(), text: text.to_owned() };
        let exceptions: Exceptions =
            toml::from_str("unsafe_room = [{ path = \"door/\", reason = \"the only door\" }]").unwrap();
        file_rules(&file, &exceptions).into_iter().map(|v| (v.rule, v.line)).collect()
    }

    #[test]
    fn a_good_file_passes() {
        assert_eq!(rules("a/src/good.rs", "//! What it is.\nfn f() { g(\"unsafe TODO\") }\n"), []);
        assert_eq!(rules("door/sys.rs", "//! The door.\nfn f() { unsafe { g() } }\n"), []);
    }

    #[test]
    fn each_rule_finds_its_line() {
        assert_eq!(rules("a.rs", "fn f() {}\n"), [("module-docs", 1)]);
        assert_eq!(rules("a.rs", "//!\nfn f() {}\n"), [("module-docs", 1)]);
        assert_eq!(rules("a.rs", "//! A.\nfn f() { unsafe { g() } }\n"), [("unsafe", 2)]);
        assert_eq!(rules("a.rs", "//! A.\n// FIXME later\n"), [("unfinished", 2)]);
        assert_eq!(
            rules("a.rs", "//! A.\nfn f() { todo!() }\n#[ignore]\n"),
            [("unfinished", 2), ("unfinished", 3)]
        );
        let skip = "//! A.\nfn f() { eprintln!(\"Skipping: no root\"); }\n";
        assert_eq!(rules("a.rs", skip), [("silent-skip", 2)]);
        assert_eq!(rules("xtask/a.rs", skip), []);
        assert_eq!(rules("a/map_utils.rs", "//! A.\n"), [("names", 1)]);
        assert_eq!(rules("a/common/x.rs", "//! A.\n"), [("names", 1)]);
        let long = format!("//! A.\n{}", "\n".repeat(MAX_LINES));
        assert_eq!(rules("a.rs", &long), [("size", MAX_LINES + 1)]);
    }

    #[test]
    fn words_that_only_contain_a_rule_pass() {
        assert_eq!(rules("a/recommon.rs", "//! A.\nfn todo() { let unsafety = ignore; }\n"), []);
    }
}
