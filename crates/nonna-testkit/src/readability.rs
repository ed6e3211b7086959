//! The Grandma Benchmark: how hard a text is to read, and which words it should do without.
//!
//! Text is held to a US school grade by the formula of Flesch and Kincaid (Derivation of New Readability Formulas,
//! 1975): `0.39 × words per sentence + 11.8 × syllables per word − 15.59`. What is filled in when the text is made (names,
//! paths, numbers, addresses) is not the writer's choice, so each such placeholder counts as one word of one syllable:
//!
//! - whatever stands between [`OPEN`] and [`CLOSE`], the marks that a test puts around its sample values,
//! - code between backticks,
//! - a word with a digit, or with one of `/ \ _ @ # = %` or a dot inside.
//!
//! Syllables are counted by rules about letters with a list of exceptions; that is right for about nineteen words of twenty,
//! which is enough for a grade.
//!
//! [`jargon`] finds words that a reader knows only if she knows how the system works inside. The list holds for what
//! is said about events, detections and blocks. A diagnostic speaks to somebody who writes programs, so only its grade counts.
//! A word is on the list when a plain one says the same: `folder` for directory, `program` for process, `the core of
//! the system` for kernel. Some technical words stay allowed, since a person must be able to act on them: `pid`, `port`,
//! `address`, `file`, `user`, `group`, `signal`, `memory`, `container`.

/// Put before a sample value.
pub const OPEN: char = '⟨';
/// Put after a sample value.
pub const CLOSE: char = '⟩';
/// The highest grade that a sentence may have.
pub const HIGHEST_GRADE: f64 = 8.0;

/// Words that explain themselves only to those who know the system inside.
const JARGON: &[&str] = &[
    "argv",
    "bind",
    "binary",
    "bitmask",
    "bpf",
    "buffer",
    "capability",
    "cgroup",
    "comm",
    "cpu",
    "credential",
    "daemon",
    "dentry",
    "descriptor",
    "directory",
    "dns",
    "ebpf",
    "egid",
    "env",
    "errno",
    "euid",
    "exec",
    "execve",
    "executable",
    "fd",
    "filesystem",
    "flag",
    "fork",
    "gid",
    "hex",
    "hook",
    "inode",
    "ioctl",
    "ip",
    "kernel",
    "kprobe",
    "listen",
    "loopback",
    "memfd",
    "mmap",
    "module",
    "mount",
    "namespace",
    "null",
    "octal",
    "overlay",
    "packet",
    "payload",
    "ppid",
    "privilege",
    "process",
    "ptrace",
    "runtime",
    "setuid",
    "socket",
    "stack",
    "stdin",
    "stdout",
    "symlink",
    "syscall",
    "tcp",
    "tgid",
    "thread",
    "tid",
    "token",
    "tracepoint",
    "tty",
    "udp",
    "uid",
    "unmount",
    "uprobe",
    "vfs",
];
/// Beginnings of the kernel's constants, which are no words.
const CONSTANTS: &[&str] =
    &["AF_", "BPF_", "CAP_", "CLONE_", "IPPROTO_", "MS_", "O_", "PTRACE_", "SIG", "SOCK_", "S_I"];

/// Words for which the rules about letters fail, with their syllables.
const EXCEPTIONS: &[(&str, usize)] = &[
    ("area", 3),
    ("being", 2),
    ("business", 2),
    ("closed", 1),
    ("create", 2),
    ("created", 3),
    ("creates", 2),
    ("elsewhere", 2),
    ("every", 2),
    ("idea", 3),
    ("ideas", 3),
    ("lines", 1),
    ("once", 1),
    ("quiet", 2),
    ("science", 2),
    ("sentence", 2),
    ("somebody", 3),
    ("something", 2),
    ("sometimes", 2),
    ("somewhere", 2),
    ("theory", 3),
    ("whose", 1),
];

/// What the grade is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Words, placeholders included.
    pub n_words: usize,
    /// Sentences, at least one.
    pub n_sentences: usize,
    /// Syllables of all words.
    pub n_syllables: usize,
}

impl Reading {
    /// Counts a text.
    pub fn of(text: &str) -> Self {
        let text = with_placeholders(text);
        let words =
            || text.split_whitespace().flat_map(|token| token.split(['-', '–', '—'])).filter_map(word);
        let ends = text.split_whitespace().filter(|token| ends_sentence(token)).count();
        let is_open = text.split_whitespace().next_back().is_some_and(|token| !ends_sentence(token));
        Self {
            n_words: words().count(),
            n_sentences: (ends + usize::from(is_open)).max(1),
            n_syllables: words().map(syllables).sum(),
        }
    }

    /// The grade by Flesch and Kincaid; a text without words has the lowest.
    #[expect(clippy::cast_precision_loss, reason = "no text has 2^52 words")]
    pub fn grade(self) -> f64 {
        if self.n_words == 0 {
            return -15.59;
        }
        let words = self.n_words as f64;
        0.39 * words / self.n_sentences as f64 + 11.8 * self.n_syllables as f64 / words - 15.59
    }
}

/// The school grade of a text.
pub fn grade(text: &str) -> f64 {
    Reading::of(text).grade()
}

/// The words of a text that are on the list, outside marked sample values and code.
pub fn jargon(text: &str) -> Vec<String> {
    let text = with_placeholders(text);
    let is_letter = |c: char| c.is_alphanumeric() || c == '_';
    // A path or an address is a value, whatever its parts are called.
    let tokens = text.split_whitespace().map(|token| token.trim_matches(|c| !is_letter(c)));
    let words =
        tokens.filter(|token| !token.contains(['/', '.'])).flat_map(|token| token.split(|c| !is_letter(c)));
    words.filter(|word| is_jargon(word)).map(str::to_owned).collect()
}

fn is_jargon(word: &str) -> bool {
    let is_constant = CONSTANTS.iter().any(|beginning| word.starts_with(beginning));
    let is_errno = word.len() > 3
        && word.starts_with('E')
        && word.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    let lower = word.to_lowercase();
    let singular = lower.strip_suffix("ies").map(|stem| format!("{stem}y"));
    let cut = ["s", "es"].map(|ending| lower.strip_suffix(ending));
    let forms = [Some(lower.as_str()), singular.as_deref(), cut[0], cut[1]];
    is_constant || is_errno || forms.iter().flatten().any(|form| JARGON.contains(form))
}

/// The first sentence of a text, without what follows.
pub fn first_sentence(text: &str) -> &str {
    let text = text.trim_start();
    let mut in_code = false;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        in_code ^= c == '`';
        let ends = matches!(c, '.' | '!' | '?') && chars.peek().is_none_or(|(_, next)| next.is_whitespace());
        if ends && !in_code {
            return &text[..=at];
        }
    }
    text.trim_end()
}

/// Puts one short word for each marked value and each piece of code.
fn with_placeholders(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut depth = 0_usize;
    let mut in_code = false;
    for c in text.chars() {
        match c {
            OPEN => {
                if depth == 0 && !in_code {
                    out.push('x');
                }
                depth += 1;
            }
            CLOSE => depth = depth.saturating_sub(1),
            '`' if depth == 0 => {
                if !in_code {
                    out.push('x');
                }
                in_code = !in_code;
            }
            c if depth == 0 && !in_code => out.push(c),
            _ => {}
        }
    }
    out
}

fn ends_sentence(token: &str) -> bool {
    token.trim_end_matches(['"', '\'', ')', '’', '”']).ends_with(['.', '!', '?'])
}

/// The word in a token: a short one for what is no word.
fn word(token: &str) -> Option<&str> {
    let token = token.trim_matches(|c: char| !c.is_alphanumeric());
    let is_placeholder = token.chars().any(|c| c.is_numeric() || "/\\_@#=%.".contains(c));
    match token {
        "" => None,
        _ if is_placeholder => Some("x"),
        word => Some(word),
    }
}

/// Syllables of an English word, at least one.
pub fn syllables(word: &str) -> usize {
    let letters: Vec<u8> = word.bytes().filter(u8::is_ascii_alphabetic).collect();
    let is_abbreviation = letters.len() > 1 && letters.iter().all(u8::is_ascii_uppercase);
    if is_abbreviation {
        return letters.len();
    }
    let lower = String::from_utf8_lossy(&letters).to_lowercase();
    let lower = lower.as_str();
    if let Some((_, n)) = EXCEPTIONS.iter().find(|(exception, _)| *exception == lower) {
        return *n;
    }
    let bytes = lower.as_bytes();
    let groups =
        (0..bytes.len()).filter(|&n| is_vowel(bytes[n]) && (n == 0 || !is_vowel(bytes[n - 1]))).count();
    (groups + n_apart(lower)).saturating_sub(usize::from(ends_silent(lower))).max(1)
}

fn is_vowel(letter: u8) -> bool {
    b"aeiouy".contains(&letter)
}

/// Vowels that stand together and are spoken apart: `ra-di-o`, `tri-al`, `do-ing`.
fn n_apart(word: &str) -> usize {
    let bytes = word.as_bytes();
    let pair = |n: usize| {
        let before = n.checked_sub(1).map(|n| bytes[n]);
        match &bytes[n..n + 2] {
            // `na-tion`, `so-cial`, `re-gion` keep them together.
            b"ia" | b"io" => !matches!(before, Some(b't' | b's' | b'c' | b'g' | b'x')),
            b"ua" | b"uo" => !matches!(before, Some(b'q' | b'g')),
            b"yi" | b"eo" => &bytes[n..] == b"ying" || word.starts_with("geo") || word.starts_with("video"),
            b"oi" | b"ei" | b"ai" | b"ui" => &bytes[n + 1..] == b"ing",
            _ => false,
        }
    };
    (0..bytes.len().saturating_sub(1)).filter(|&n| pair(n)).count()
}

/// Whether the last `e` is not spoken: `file`, `names`, `opened`; but `table`, `boxes`, `started`.
fn ends_silent(word: &str) -> bool {
    let silent_after = |stem: &str, spoken: &[&str]| {
        let before = stem.bytes().next_back();
        before.is_some_and(|b| !is_vowel(b)) && !spoken.iter().any(|ending| stem.ends_with(ending))
    };
    if let Some(stem) = word.strip_suffix("es") {
        let is_le = stem.ends_with('l') && stem.bytes().rev().nth(1).is_some_and(|b| !is_vowel(b));
        return !is_le && silent_after(stem, &["s", "x", "z", "c", "g", "ch", "sh"]);
    }
    if let Some(stem) = word.strip_suffix("ed") {
        return silent_after(stem, &["t", "d"]);
    }
    let Some(stem) = word.strip_suffix('e') else { return false };
    let is_le = stem.ends_with('l') && stem.bytes().rev().nth(1).is_some_and(|b| !is_vowel(b));
    !is_le && silent_after(stem, &[])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syllables_are_counted_as_they_are_spoken() {
        let words = [
            (1, "a the read file names whose used through queue type called tried cut true one where"),
            (
                2,
                "opened started table boxes hashes password machine people itself allowed answered image secret",
            ),
            (2, "doing trying folder program program's system removed waited value kernel changes"),
            (3, "radio memory container's nobody somebody idea created another connected usual"),
            (4, "information original operation"),
        ];
        for (n, words) in words {
            for word in words.split(' ') {
                assert_eq!(syllables(word), n, "{word}");
            }
        }
        assert_eq!(syllables("BTF"), 3);
    }

    #[test]
    fn placeholders_are_one_short_word() {
        let reading = Reading::of("⟨a. long-winded! name⟩ (pid 812) read /etc/shadow.bak on `x = 1. y`.");
        assert_eq!(reading, Reading { n_words: 7, n_sentences: 1, n_syllables: 7 });
    }

    #[test]
    fn the_formula_is_that_of_flesch_and_kincaid() {
        let reading = Reading::of("The cat sat on the mat. It was happy.");
        assert_eq!(reading, Reading { n_words: 9, n_sentences: 2, n_syllables: 10 });
        assert!((reading.grade() - (0.39 * 4.5 + 11.8 * 10.0 / 9.0 - 15.59)).abs() < 1e-9);
        let hard = "Insufficient privileges precluded the enumeration of extended attributes.";
        assert!(grade(hard) > 15.0);
    }

    #[test]
    fn jargon_is_found_outside_of_values() {
        assert_eq!(
            jargon("The syscall (openat) failed with EACCES, SIGKILL."),
            ["syscall", "EACCES", "SIGKILL"]
        );
        assert_eq!(jargon("used capabilities of processes"), ["capabilities", "processes"]);
        assert!(jargon("⟨kernel⟩ read `inode` and /dev/socket from an Address, OK?").is_empty());
    }

    #[test]
    fn the_first_sentence_ends_where_people_see_it_end() {
        assert_eq!(first_sentence("\nA `x.y. z` is\n3.5 long. Next."), "A `x.y. z` is\n3.5 long.");
        assert_eq!(first_sentence("no end \n"), "no end");
    }
}
