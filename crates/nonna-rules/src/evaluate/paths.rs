//! Sets of paths, asked whether one of them is a path or above it, for `pmatch`.
//!
//! Paths are compared by components; empty ones do not count. A component may be a pattern. A path above another makes the other
//! superfluous (`userspace/libsinsp/prefix_search.h` in falcosecurity/libs).

use std::collections::HashMap;

use super::glob::{Glob, GlobError, is_pattern};

/// A set of paths.
#[derive(Debug, Clone, Default)]
pub(crate) struct PathSet {
    root: Node,
}

#[derive(Debug, Clone, Default)]
struct Node {
    /// A path ends here: it and everything below it fit.
    is_end: bool,
    exact: HashMap<Vec<u8>, Node>,
    patterns: Vec<(Vec<u8>, Glob, Node)>,
}

fn components(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').filter(|component| !component.is_empty())
}

impl PathSet {
    /// Adds a path.
    pub(crate) fn insert(&mut self, path: &[u8]) -> Result<(), GlobError> {
        let mut node = &mut self.root;
        for component in components(path) {
            if is_pattern(component) {
                let place = match node.patterns.iter().position(|(known, ..)| known == component) {
                    Some(place) => place,
                    None => {
                        let glob = Glob::new(component, false)?;
                        node.patterns.push((component.to_vec(), glob, Node::default()));
                        node.patterns.len() - 1
                    }
                };
                node = &mut node.patterns[place].2;
            } else {
                node = node.exact.entry(component.to_vec()).or_default();
            }
        }
        node.is_end = true;
        Ok(())
    }

    /// Whether a path of the set is this one or above it.
    pub(crate) fn covers(&self, path: &[u8]) -> bool {
        let path: Vec<&[u8]> = components(path).collect();
        self.root.covers(&path)
    }
}

impl Node {
    fn covers(&self, path: &[&[u8]]) -> bool {
        if self.is_end {
            return true;
        }
        let Some((first, rest)) = path.split_first() else { return false };
        self.exact.get(*first).is_some_and(|node| node.covers(rest))
            || self.patterns.iter().any(|(_, glob, node)| glob.fits(first) && node.covers(rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(paths: &[&str]) -> PathSet {
        let mut set = PathSet::default();
        for path in paths {
            set.insert(path.as_bytes()).expect("a path");
        }
        set
    }

    #[test]
    fn a_path_above_fits_by_whole_components() {
        let set = set(&["/var/run", "/etc", "/usr/lib/", "/opt/*/bin"]);
        let fits = |path: &str| set.covers(path.as_bytes());
        assert!(fits("/var/run/docker") && fits("/var/run") && fits("//etc//shadow") && fits("/usr/lib"));
        assert!(!fits("/var") && !fits("/var/running") && !fits("/boot") && !fits(""));
        assert!(fits("/opt/x/bin/y") && !fits("/opt/x/y/bin"));
    }

    #[test]
    fn the_root_is_above_everything() {
        assert!(set(&["/"]).covers(b"/etc") && set(&["/"]).covers(b"/"));
        assert!(!set(&[]).covers(b"/etc"));
    }
}
