//! Shows how what came out differs from what was expected.

/// Lines around the difference that are shown too.
const CONTEXT: usize = 3;

/// Whether two texts are the same but for spaces at line ends and empty lines at the end.
pub fn same(expected: &str, found: &str) -> bool {
    lines(expected) == lines(found)
}

/// The lines that differ: `-` expected, `+` found, with some before and after.
pub fn show(expected: &str, found: &str) -> String {
    let (expected, found) = (lines(expected), lines(found));
    let before = expected.iter().zip(&found).take_while(|(a, b)| a == b).count();
    let rest = (expected.len() - before).min(found.len() - before);
    let after = expected.iter().rev().zip(found.iter().rev()).take(rest).take_while(|(a, b)| a == b).count();
    let mut out = String::new();
    let mut put = |mark: char, lines: &[&str]| {
        for line in lines {
            out.push_str(format!("{mark} {line}").trim_end());
            out.push('\n');
        }
    };
    put(' ', &expected[before.saturating_sub(CONTEXT)..before]);
    put('-', &expected[before..expected.len() - after]);
    put('+', &found[before..found.len() - after]);
    let tail = expected.len() - after;
    put(' ', &expected[tail..(tail + CONTEXT).min(expected.len())]);
    out
}

fn lines(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    while lines.last().is_some_and(|line| line.is_empty()) {
        lines.pop();
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_at_line_ends_do_not_count() {
        assert!(same("a \nb\n\n", "a\nb"));
        assert!(!same("a\n\nb", "a\nb"));
        assert!(!same(" a", "a"));
    }

    #[test]
    fn the_difference_has_its_surroundings() {
        assert_eq!(
            show("1\n2\n3\n4\nold\n5\n", "1\n2\n3\n4\nnew\nmore\n5\n"),
            "  2\n  3\n  4\n- old\n+ new\n+ more\n  5\n"
        );
        assert_eq!(show("a\na\n", "a\n"), "  a\n- a\n");
        assert_eq!(show("", "x\n"), "+ x\n");
    }
}
