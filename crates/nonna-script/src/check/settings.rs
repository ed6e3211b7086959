//! The `config` block and map declarations.

use nonna_diag::{Diagnostic, nearest};

use super::Checker;
use crate::ast::{self, ConfigValue};
use crate::host_data::{HostConfig, StackMode};
use crate::options::Options;
use crate::slugs;

/// Longest string that a script may ask for, in bytes: what fits a record beside other fields.
const MAX_STRLEN: u32 = 4096;
/// Most entries of a map.
const MAX_MAP_KEYS: u32 = 16 * 1024 * 1024;
/// Most attach points of a script.
const MAX_PROBES: u32 = 65_536;

/// What is missing when one of several attach points is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MissingProbes {
    /// An error where nothing is left to attach to, else a warning.
    ErrorIfAll,
    /// A warning.
    Warn,
    /// Nothing.
    Ignore,
    /// An error.
    Error,
}

/// Settings in force.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub max_strlen: u32,
    pub max_map_keys: u32,
    pub max_probes: u32,
    pub stack_mode: StackMode,
    pub missing_probes: MissingProbes,
    pub host: HostConfig,
}

/// Settings of other tools that change nothing here and are taken without complaint.
const WITHOUT_EFFECT: &[&str] = &[
    "cache_user_symbols",
    "cpp_demangle",
    "lazy_symbolication",
    "license",
    "log_size",
    "max_bpf_progs",
    "max_type_res_iterations",
    "on_stack_limit",
    "perf_rb_pages",
    "show_debug_info",
    "symbol_source",
    "unstable_import",
    "unstable_map_decl",
    "unstable_tseries",
    "use_blazesym",
];
const NAMES: &[&str] = &[
    "max_strlen",
    "max_map_keys",
    "max_probes",
    "max_cat_bytes",
    "missing_probes",
    "print_maps_on_exit",
    "stack_mode",
    "str_trunc_trailer",
];

impl Settings {
    pub fn new(options: &Options) -> Self {
        Self {
            max_strlen: options.max_strlen.clamp(1, MAX_STRLEN),
            max_map_keys: options.max_map_keys.clamp(1, MAX_MAP_KEYS),
            max_probes: options.max_probes,
            stack_mode: StackMode::Symbols,
            missing_probes: MissingProbes::ErrorIfAll,
            host: HostConfig::default(),
        }
    }
}

/// Why a setting's value was refused.
enum Refused {
    Kind(&'static str),
    TooLarge(u32),
}

impl Checker<'_> {
    /// Applies the `config` block and the map declarations.
    pub(super) fn settings(&mut self, script: &ast::Script) {
        for entry in &script.config {
            // `BPFTRACE_MAX_STRLEN` is how the same setting is spelled in the environment.
            let lower = entry.name.text.to_lowercase();
            let name = lower.strip_prefix("bpftrace_").unwrap_or(&lower);
            let refused = match self.set(name, &entry.value) {
                Some(Ok(())) => continue,
                Some(Err(refused)) => refused,
                None => {
                    self.unknown_setting(entry, name);
                    continue;
                }
            };
            let diagnostic = match refused {
                Refused::Kind(kind) => {
                    Diagnostic::new(&slugs::UNKNOWN_SETTING, format!("`{name}` cannot have this value"))
                        .label(entry.value_span, format!("expected {kind}"))
                }
                Refused::TooLarge(most) => {
                    Diagnostic::new(&slugs::TOO_LARGE, format!("`{name}` can be at most {most}"))
                        .label(entry.value_span, "too large")
                }
            };
            self.diagnostics.push(diagnostic);
        }
        for declaration in &script.map_declarations {
            self.map_declaration(declaration);
        }
    }

    fn unknown_setting(&mut self, entry: &ast::ConfigEntry, name: &str) {
        let mut diagnostic =
            Diagnostic::new(&slugs::UNKNOWN_SETTING, format!("there is no setting `{}`", entry.name.text))
                .label(entry.name.span, "not a setting");
        if let Some(near) = nearest(name, NAMES.iter().copied(), 1).first() {
            diagnostic = diagnostic.help(format!("did you mean `{near}`?")).fix(entry.name.span, *near);
        }
        self.diagnostics.push(diagnostic);
    }

    /// Applies one setting; `None` where there is none of this name.
    fn set(&mut self, name: &str, value: &ConfigValue) -> Option<Result<(), Refused>> {
        let settings = &mut self.settings;
        Some(match name {
            "max_strlen" => number(value, MAX_STRLEN).map(|n| settings.max_strlen = n.max(1)),
            "max_map_keys" => number(value, MAX_MAP_KEYS).map(|n| settings.max_map_keys = n.max(1)),
            "max_probes" => number(value, MAX_PROBES).map(|n| settings.max_probes = n),
            "max_cat_bytes" => number(value, u32::MAX).map(|n| settings.host.max_cat_bytes = u64::from(n)),
            "print_maps_on_exit" => flag(value).map(|on| settings.host.print_maps_on_exit = on),
            "str_trunc_trailer" => match value {
                ConfigValue::Text(text) => {
                    settings.host.truncation_mark.clone_from(text);
                    Ok(())
                }
                ConfigValue::Int(_) => Err(Refused::Kind("a string")),
            },
            "stack_mode" => word(value)
                .and_then(stack_mode)
                .map(|mode| settings.stack_mode = mode)
                .ok_or(Refused::Kind("`bpftrace`, `perf`, `raw` or `build_id`")),
            "missing_probes" => match word(value) {
                Some("error") => {
                    settings.missing_probes = MissingProbes::Error;
                    Ok(())
                }
                Some("warn") => {
                    settings.missing_probes = MissingProbes::Warn;
                    Ok(())
                }
                Some("ignore") => {
                    settings.missing_probes = MissingProbes::Ignore;
                    Ok(())
                }
                _ => Err(Refused::Kind("`error`, `warn` or `ignore`")),
            },
            other if WITHOUT_EFFECT.contains(&other) => Ok(()),
            _ => return None,
        })
    }

    /// `let @x = lruhash(100);`
    fn map_declaration(&mut self, declaration: &ast::MapDeclaration) {
        let lru = match declaration.map_type.text.as_str() {
            "hash" | "percpuhash" => false,
            "lruhash" | "percpulruhash" => true,
            other => {
                let diagnostic =
                    Diagnostic::new(&slugs::UNKNOWN_TYPE, format!("there is no kind of map `{other}`"))
                        .label(declaration.map_type.span, "not a kind of map")
                        .help("known are `hash`, `lruhash`, `percpuhash` and `percpulruhash`");
                self.diagnostics.push(diagnostic);
                return;
            }
        };
        let ast::ExprKind::Int(entries) = declaration.max_entries.kind else {
            self.diagnostics.push(
                Diagnostic::new(&slugs::NEEDS_CONSTANT, "the size of a map must be a number")
                    .label(declaration.max_entries.span, "not a number"),
            );
            return;
        };
        match u32::try_from(entries).ok().filter(|n| (1..=MAX_MAP_KEYS).contains(n)) {
            Some(entries) => {
                self.map_limits.insert(format!("@{}", declaration.map.text), (entries, lru));
            }
            None => self.diagnostics.push(
                Diagnostic::new(&slugs::TOO_LARGE, format!("a map has 1 to {MAX_MAP_KEYS} entries"))
                    .label(declaration.max_entries.span, "out of range"),
            ),
        }
    }
}

/// A stack mode by name.
pub(super) fn stack_mode(name: &str) -> Option<StackMode> {
    Some(match name {
        "bpftrace" => StackMode::Symbols,
        "perf" => StackMode::Perf,
        "raw" => StackMode::Raw,
        "build_id" => StackMode::BuildId,
        _ => return None,
    })
}

fn number(value: &ConfigValue, most: u32) -> Result<u32, Refused> {
    match value {
        ConfigValue::Int(n) => u32::try_from(*n).ok().filter(|n| *n <= most).ok_or(Refused::TooLarge(most)),
        ConfigValue::Text(_) => Err(Refused::Kind("a number")),
    }
}

fn flag(value: &ConfigValue) -> Result<bool, Refused> {
    match value {
        ConfigValue::Int(0) => Ok(false),
        ConfigValue::Int(1) => Ok(true),
        ConfigValue::Text(text) if text == "true" => Ok(true),
        ConfigValue::Text(text) if text == "false" => Ok(false),
        _ => Err(Refused::Kind("`true` or `false`")),
    }
}

fn word(value: &ConfigValue) -> Option<&str> {
    match value {
        ConfigValue::Text(text) => Some(text),
        ConfigValue::Int(_) => None,
    }
}
