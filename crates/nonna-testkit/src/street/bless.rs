//! Rewrites blocks of a document, and nothing else in it.

use super::parse::Block;

/// The document with these blocks' texts replaced.
///
/// Blocks must come from the same document. A block's fence grows where its new text would end it.
pub fn rewrite(document: &str, changes: &[(Block, String)]) -> String {
    let mut changes: Vec<&(Block, String)> = changes.iter().collect();
    changes.sort_by_key(|(block, _)| block.span.start);
    let mut out = String::with_capacity(document.len());
    let mut at = 0;
    for (block, text) in changes {
        out.push_str(&document[at..block.span.start]);
        out.push_str(&rewritten(&document[block.span.clone()], text));
        at = block.span.end;
    }
    out.push_str(&document[at..]);
    out
}

/// A block from fence to fence, with another text.
fn rewritten(old: &str, text: &str) -> String {
    let (opening, _) = old.split_once('\n').unwrap_or((old, ""));
    let opening = opening.trim_end_matches('\r');
    let mark = opening.chars().next().unwrap_or('`');
    let info = opening.trim_start_matches(mark);
    let len = (opening.len() - info.len()).max(longest_run(text, mark) + 1);
    let fence = mark.to_string().repeat(len);
    let mut text = text.to_owned();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    format!("{fence}{info}\n{text}{fence}")
}

/// The longest run of a fence's mark at the start of a line, where it could end the block.
fn longest_run(text: &str, mark: char) -> usize {
    text.lines().map(|line| line.chars().take_while(|c| *c == mark).count()).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::street::Document;

    fn blocks(text: &str) -> Vec<Block> {
        Document::parse(text).unwrap().cases.into_iter().flat_map(|case| case.blocks).collect()
    }

    #[test]
    fn only_the_block_changes() {
        let text = "# A\nprose\n```ir x\nold\n```\nmore\n```run\n```\nend";
        let blocks = blocks(text);
        let changes = [(blocks[1].clone(), "two\n".to_owned()), (blocks[0].clone(), "new".to_owned())];
        assert_eq!(rewrite(text, &changes), "# A\nprose\n```ir x\nnew\n```\nmore\n```run\ntwo\n```\nend");
    }

    #[test]
    fn a_fence_grows_where_the_text_needs_it() {
        let text = "# A\n```ir\n```\n";
        let rewritten = rewrite(text, &[(blocks(text)[0].clone(), "````\n".to_owned())]);
        assert_eq!(rewritten, "# A\n`````ir\n````\n`````\n");
        assert_eq!(blocks(&rewritten)[0].text, "````\n");
    }

    proptest! {
        /// Any text can be blessed and is read back as it was, and the rest of the document stays.
        #[test]
        fn what_is_written_is_read_back(text in "[a`~# \n]{0,40}", prose in "[a# ]{0,10}") {
            let document = format!("# A\n{prose}x\n```ir y\nold\n```\n# B\n~~~run\n~~~\n{prose}x\n");
            let old = blocks(&document);
            let changes = [(old[0].clone(), text.clone()), (old[1].clone(), text.clone())];
            let new = blocks(&rewrite(&document, &changes));
            prop_assert_eq!(new.len(), 2);
            let mut expected = text;
            if !expected.is_empty() && !expected.ends_with('\n') {
                expected.push('\n');
            }
            prop_assert_eq!(&new[0].text, &expected);
            prop_assert_eq!(&new[1].text, &expected);
            prop_assert_eq!(&new[0].argument, "y");
        }

        /// No text makes the reader panic.
        #[test]
        fn any_text_is_read_or_refused(text in "[a`~# \r\n\u{e9}]{0,80}") {
            if let Ok(document) = Document::parse(&text) {
                let same: Vec<(Block, String)> = document
                    .cases
                    .iter()
                    .flat_map(|case| &case.blocks)
                    .map(|block| (block.clone(), block.text.clone()))
                    .collect();
                let again = Document::parse(&rewrite(&text, &same)).unwrap();
                prop_assert_eq!(again.cases.len(), document.cases.len());
            }
        }
    }
}
