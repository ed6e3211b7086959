//! The checker: from syntax to the checked script.
//!
//! Maps and variables get their types from all their uses, wherever these stand, so bodies are checked over and over
//! until no type changes any more; only the last pass reports. A type only ever grows, so this ends.

mod access;
mod arith;
mod assign;
mod call;
mod descriptor;
mod emit;
mod event_fields;
mod expr;
mod format;
mod maps;
mod names;
mod net;
mod origin;
mod output;
mod overlay;
mod prefetch;
mod probes;
mod scope;
mod settings;
mod stack;
mod stmt;
mod text;
mod tracepoint;

use std::collections::{HashMap, HashSet};

use indexmap::IndexMap;
use nonna_bpf::Target;
use nonna_diag::{Diagnostic, Label, Severity, Span};
use nonna_event::EventSchema;

use crate::ast;
use crate::hir;
use crate::host_data::Action;
use crate::options::Options;
use crate::probes::Context;
use crate::slugs;
use crate::types::{OwnTypes, Shapes, Type};

use self::maps::MapState;
use self::scope::Scopes;
use self::settings::Settings;

/// Passes over a script; types grow a few times at most, so more would be a fault of the checker.
const MAX_PASSES: usize = 16;
/// Diagnostics beyond which more do not help.
const MAX_DIAGNOSTICS: usize = 200;

/// Checks a script. The result is there where no error was found.
pub(crate) fn check<'a>(
    script: &'a ast::Script,
    target: &'a Target,
    options: &'a Options,
    place_of: &'a dyn Fn(Span) -> (usize, usize),
    is_whole: bool,
) -> (Option<hir::Script>, Vec<Diagnostic>) {
    prefetch::prefetch(script, target);
    let (own, unknown) = OwnTypes::build(&script.c_types, &target.btf);
    let mut checker = Checker::new(script, target, options, own, place_of, is_whole);
    checker.diagnostics = unknown.iter().map(|name| checker.unknown_type(name)).collect();
    checker.settings(script);
    let bodies = checker.bodies(script);
    let early = std::mem::take(&mut checker.diagnostics);
    let mut programs = Vec::new();
    for pass in 0..MAX_PASSES {
        checker.start_pass(pass + 1 == MAX_PASSES);
        programs = checker.programs(&bodies);
        if checker.is_final {
            break;
        }
        if !checker.changed {
            // Nothing new was learnt: what is reported now is true.
            checker.is_final = true;
            checker.start_pass(true);
            programs = checker.programs(&bodies);
            break;
        }
    }
    checker.finish(programs, early)
}

/// A body with the places that it is checked for together.
struct Body<'a> {
    probe: &'a ast::Probe,
    context: Context,
    attaches: Vec<hir::Attach>,
}

struct Checker<'a> {
    target: &'a Target,
    options: &'a Options,
    settings: Settings,
    shapes: Shapes<'a>,
    /// Line and column of a place, for messages that user space prints.
    place_of: &'a dyn Fn(Span) -> (usize, usize),
    /// The text was parsed without errors, so that what seems missing is missing.
    is_whole: bool,
    diagnostics: Vec<Diagnostic>,
    /// This pass reports.
    is_final: bool,
    /// This pass changed a type.
    changed: bool,
    maps: IndexMap<String, MapState>,
    map_limits: HashMap<String, (u32, bool)>,
    /// Values of the kernel's enumerations by name.
    constants: HashMap<String, Option<i64>>,
    /// Variables of each body, kept from pass to pass.
    locals: Vec<Vec<hir::Local>>,
    schemas: Vec<EventSchema>,
    actions: Vec<Action>,
    /// Events by name: index of the schema and where it was first described.
    events: IndexMap<String, (usize, Span)>,
    uses_start: bool,
    /// The body that is being checked.
    body: BodyState,
}

/// What is known about the body that is being checked.
struct BodyState {
    context: Context,
    idx: usize,
    scopes: Scopes,
    loop_depth: u32,
    /// Capacity for the longest name of a probe and of a function.
    probe_name_bytes: u32,
    function_name_bytes: u32,
}

impl<'a> Checker<'a> {
    fn new(
        script: &ast::Script,
        target: &'a Target,
        options: &'a Options,
        own: OwnTypes,
        place_of: &'a dyn Fn(Span) -> (usize, usize),
        is_whole: bool,
    ) -> Self {
        let constants = names::constants(script, target, &own);
        Self {
            target,
            options,
            settings: Settings::new(options),
            shapes: Shapes::new(&target.btf, own),
            place_of,
            is_whole,
            diagnostics: Vec::new(),
            is_final: false,
            changed: false,
            maps: IndexMap::new(),
            map_limits: HashMap::new(),
            constants,
            locals: Vec::new(),
            schemas: Vec::new(),
            actions: Vec::new(),
            events: IndexMap::new(),
            uses_start: false,
            body: BodyState {
                context: Context::Plain,
                idx: 0,
                scopes: Scopes::default(),
                loop_depth: 0,
                probe_name_bytes: 0,
                function_name_bytes: 0,
            },
        }
    }

    fn start_pass(&mut self, is_final: bool) {
        self.is_final = is_final;
        self.changed = false;
        self.diagnostics.clear();
        self.schemas.clear();
        self.actions.clear();
        self.events.clear();
    }

    fn programs(&mut self, bodies: &[Body<'_>]) -> Vec<hir::Program> {
        self.locals.resize_with(bodies.len(), Vec::new);
        let programs = bodies.iter().enumerate().map(|(idx, body)| self.program(idx, body)).collect();
        if self.is_final {
            self.check_map_sizes();
        }
        programs
    }

    fn program(&mut self, idx: usize, body: &Body<'_>) -> hir::Program {
        let longest = |text: fn(&hir::Attach) -> &str| {
            let longest = body.attaches.iter().map(|a| text(a).len()).max().unwrap_or(0);
            // One more than the NUL, since text that fills its memory counts as cut.
            u32::try_from(longest + 2).unwrap_or(u32::MAX)
        };
        self.body = BodyState {
            context: body.context.clone(),
            idx,
            scopes: Scopes::new(scope::hoisted(body.probe)),
            loop_depth: 0,
            probe_name_bytes: longest(|a| &a.name),
            function_name_bytes: longest(|a| &a.function),
        };
        self.declare_hoisted();
        let predicate = self.with_object(body).or_else(|| body.probe.predicate.clone());
        let predicate = predicate.map(|expr| self.condition(&expr));
        let stmts = self.block(&body.probe.body);
        hir::Program {
            hooks: body.attaches.clone(),
            predicate,
            body: stmts,
            locals: self.locals[idx].clone(),
        }
    }

    fn finish(
        mut self,
        programs: Vec<hir::Program>,
        early: Vec<Diagnostic>,
    ) -> (Option<hir::Script>, Vec<Diagnostic>) {
        let late = std::mem::take(&mut self.diagnostics);
        let mut diagnostics = early;
        // A body is checked once for each kind of place, so one mistake may be found several times.
        let mut seen = HashSet::new();
        for diagnostic in late {
            if seen.insert((diagnostic.slug.name, diagnostic.primary(), diagnostic.message.clone())) {
                diagnostics.push(diagnostic);
            }
        }
        diagnostics.sort_by_key(|d| d.primary().map(|span| (span.source, span.start)));
        diagnostics.truncate(MAX_DIAGNOSTICS);
        if diagnostics.iter().any(|d| d.severity == Severity::Error) {
            return (None, diagnostics);
        }
        let maps = self.finished_maps();
        let script = hir::Script {
            programs,
            maps,
            events: self.events.values().map(|(schema, _)| *schema).collect(),
            schemas: self.schemas,
            actions: self.actions,
            config: self.settings.host,
            uses_start: self.uses_start,
            own: self.shapes.own,
        };
        (Some(script), diagnostics)
    }

    /// Reports in the last pass; before, types may still change.
    fn report(&mut self, diagnostic: Diagnostic) {
        if self.is_final {
            self.diagnostics.push(diagnostic);
        }
    }

    /// Reports a mismatch and gives an expression of unknown type.
    fn wrong(&mut self, diagnostic: Diagnostic) -> hir::Expr {
        let span = diagnostic.labels.first().map(|Label { span, .. }| *span);
        self.report(diagnostic);
        hir::Expr::error(span.expect("every diagnostic of the checker has a place"))
    }

    fn mismatch(&mut self, span: Span, message: impl Into<String>, fact: impl Into<String>) -> hir::Expr {
        self.wrong(Diagnostic::new(&slugs::TYPE_MISMATCH, message).label(span, fact))
    }

    fn describe(&self, ty: &Type) -> String {
        self.shapes.describe(ty)
    }
}
