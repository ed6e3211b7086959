//! From probes to bodies: attach points are resolved, and those in which a body means the same are put together.

use nonna_diag::{Diagnostic, Severity};

use super::settings::MissingProbes;
use super::{Body, Checker};
use crate::ast::{self, BinaryOp, ExprKind};
use crate::probes::{self, Context, Env, Place};
use crate::slugs;

impl Checker<'_> {
    /// The bodies of a script, each with the places where it means the same.
    pub(super) fn bodies<'s>(&mut self, script: &'s ast::Script) -> Vec<Body<'s>> {
        let mut bodies: Vec<Body<'s>> = Vec::new();
        let mut n_probes = 0_usize;
        for probe in &script.probes {
            let n_before = self.diagnostics.len();
            let places = self.places(probe);
            let is_wrong = self.diagnostics[n_before..].iter().any(Diagnostic::is_error);
            n_probes += places.len();
            let most = self.settings.max_probes as usize;
            if n_probes > most {
                let span = probe.attach_points.first().map_or(probe.body.span, |point| point.span);
                self.diagnostics.push(
                    Diagnostic::new(&slugs::TOO_LARGE, format!("the script has more than {most} probes"))
                        .label(span, format!("with this there are {n_probes}"))
                        .help("narrow the wildcard, or set `max_probes` in a `config` block"),
                );
                // What the rest would have filled is not there.
                self.is_whole = false;
                return bodies;
            }
            if places.is_empty() && is_wrong {
                bodies.push(Body { probe, context: Context::Unknown, attaches: Vec::new() });
            }
            let needs_types = uses_types(probe);
            let first = bodies.len();
            for place in places {
                let alike = |body: &&mut Body<'s>| match needs_types {
                    true => body.context == place.context,
                    false => body.context.is_alike(&place.context),
                };
                match bodies[first..].iter_mut().find(alike) {
                    Some(body) => body.attaches.push(place.attach),
                    None => bodies.push(Body { probe, context: place.context, attaches: vec![place.attach] }),
                }
            }
        }
        bodies
    }

    /// The predicate of an iterator's body: after the last object the kernel calls once more, without one
    /// (Documentation/bpf/bpf_iterators.rst), and there is nothing to show. `None` where there is no object.
    pub(super) fn with_object(&self, body: &Body<'_>) -> Option<ast::Expr> {
        let Context::Iter { context } = body.context else { return None };
        // The structure begins with what all iterators have; then comes the object.
        let fields = self.target.btf.fields(context).ok()?;
        let object =
            fields.get(1).filter(|field| self.target.btf.type_name(field.access.type_id).contains('*'))?;
        let span = body.probe.attach_points.first().map_or(body.probe.body.span, |point| point.span);
        let expr = |kind| ast::Expr { kind, span };
        let name = ast::Name { text: object.name.to_owned(), span };
        let object = expr(ExprKind::Field { base: Box::new(expr(ExprKind::Ident("ctx".to_owned()))), name });
        let is_there =
            expr(ExprKind::Binary(BinaryOp::NotEqual, Box::new(object), Box::new(expr(ExprKind::Int(0)))));
        Some(match body.probe.predicate.clone() {
            Some(own) => expr(ExprKind::Binary(BinaryOp::And, Box::new(is_there), Box::new(own))),
            None => is_there,
        })
    }

    /// Every place of a probe. What is not there is an error, or a warning where the rest will do.
    fn places(&mut self, probe: &ast::Probe) -> Vec<Place> {
        let suggest = self.settings.missing_probes != MissingProbes::Ignore;
        let env = Env { target: self.target, options: self.options, suggest };
        let mut places: Vec<Place> = Vec::new();
        let mut missing = Vec::new();
        for point in &probe.attach_points {
            match probes::resolve(point, &env) {
                Ok(found) => {
                    for place in found {
                        if places.iter().all(|known| known.attach.name != place.attach.name) {
                            places.push(place);
                        }
                    }
                }
                Err(diagnostic) if *diagnostic.slug == slugs::NO_SUCH_PROBE => missing.push(*diagnostic),
                Err(diagnostic) => self.diagnostics.push(*diagnostic),
            }
        }
        let is_error = match self.settings.missing_probes {
            MissingProbes::Error => true,
            MissingProbes::ErrorIfAll => places.is_empty(),
            MissingProbes::Warn => false,
            MissingProbes::Ignore => return places,
        };
        for diagnostic in missing {
            self.diagnostics.push(if is_error { diagnostic } else { skipped(diagnostic) });
        }
        places
    }
}

/// The complaint about a place that is not there, where others are.
fn skipped(diagnostic: Diagnostic) -> Diagnostic {
    Diagnostic { slug: &slugs::PROBE_SKIPPED, severity: Severity::Warning, ..diagnostic }
}

/// Whether the meaning of a body depends on the types of the place's arguments or record.
fn uses_types(probe: &ast::Probe) -> bool {
    let mut found = false;
    let mut visit = |expr: &ast::Expr| {
        if let ExprKind::Ident(name) = &expr.kind {
            let is_numbered = name
                .strip_prefix("arg")
                .is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
            found |= is_numbered || matches!(name.as_str(), "args" | "ctx" | "retval");
        }
    };
    probe.predicate.iter().for_each(|predicate| predicate.visit(&mut visit));
    probe.body.visit(&mut visit);
    found
}

/// Whether two places see the same.
impl Context {
    /// The name of an argument, for suggestions.
    pub(super) fn argument_names(&self) -> Vec<String> {
        match self {
            Context::Tracepoint { format, .. } => format.fields.iter().map(|f| f.name.clone()).collect(),
            Context::Syscall { format, .. } => {
                let own = format.fields.iter().filter(|f| !f.name.starts_with("common_"));
                own.map(|f| f.name.clone()).chain(["ret".to_owned()]).collect()
            }
            Context::Raw { args: Some(args) } | Context::Function { args, .. } => {
                args.iter().map(|a| a.name.clone()).filter(|n| !n.is_empty()).collect()
            }
            _ => Vec::new(),
        }
    }
}
