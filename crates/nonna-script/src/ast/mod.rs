//! The syntax tree: what the text says, with places, before anything is known about names and types.

mod visit;

use nonna_diag::Span;

/// A whole script.
#[derive(Debug, Clone, Default)]
pub(crate) struct Script {
    /// `config = { … }` entries.
    pub config: Vec<ConfigEntry>,
    /// C structures, unions and enumerations of the preamble.
    pub c_types: Vec<CType>,
    /// Probes, in order.
    pub probes: Vec<Probe>,
    /// `let @name = type(entries)`.
    pub map_declarations: Vec<MapDeclaration>,
}

/// A name with its place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Name {
    /// The name, without sigil.
    pub text: String,
    /// Where it stands, sigil included.
    pub span: Span,
}

/// An entry of a `config` block.
#[derive(Debug, Clone)]
pub(crate) struct ConfigEntry {
    /// Setting.
    pub name: Name,
    /// Its value: a number, a string or a word.
    pub value: ConfigValue,
    /// Where the value stands.
    pub value_span: Span,
}

/// A value of a `config` block.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ConfigValue {
    /// Number.
    Int(u64),
    /// String or word.
    Text(String),
}

/// `let @name = type(entries)`.
#[derive(Debug, Clone)]
pub(crate) struct MapDeclaration {
    /// The map.
    pub map: Name,
    /// `hash`, `lruhash`, `percpuhash`, `percpulruhash`.
    pub map_type: Name,
    /// Most entries.
    pub max_entries: Expr,
}

/// A probe: attach points, predicate and body.
#[derive(Debug, Clone)]
pub(crate) struct Probe {
    /// At least one.
    pub attach_points: Vec<AttachPoint>,
    /// `/ … /`
    pub predicate: Option<Expr>,
    /// `{ … }`
    pub body: Block,
}

/// An attach point as written.
#[derive(Debug, Clone)]
pub(crate) struct AttachPoint {
    /// Its text, quotes resolved.
    pub text: String,
    /// Where it stands.
    pub span: Span,
}

/// Statements in braces.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    /// The statements.
    pub stmts: Vec<Stmt>,
    /// With the braces.
    pub span: Span,
}

/// A statement.
#[derive(Debug, Clone)]
pub(crate) struct Stmt {
    /// What it is.
    pub kind: StmtKind,
    /// Where it stands, without `;`.
    pub span: Span,
}

/// What a statement is.
#[derive(Debug, Clone)]
pub(crate) enum StmtKind {
    /// `let $x: type = value`
    Let {
        /// The variable.
        local: Name,
        /// Its type, where given.
        type_name: Option<TypeName>,
        /// Its first value, where given.
        value: Option<Expr>,
    },
    /// `target = value`, `target += value` …
    Assign {
        /// A variable or map entry.
        target: Expr,
        /// The operator in front of `=`.
        op: Option<BinaryOp>,
        /// The value.
        value: Expr,
    },
    /// An expression for its effect.
    Expr(Expr),
    /// `if`
    If {
        /// Condition.
        condition: Expr,
        /// Where it holds.
        then: Block,
        /// Where it does not; an `else if` is a block with one statement.
        otherwise: Option<Block>,
    },
    /// `while`
    While {
        /// Condition.
        condition: Expr,
        /// Body.
        body: Block,
    },
    /// `for $x : source`
    For {
        /// The variable.
        local: Name,
        /// What is walked.
        source: ForSource,
        /// Body.
        body: Block,
    },
    /// `unroll(count)`
    Unroll {
        /// How often.
        count: Expr,
        /// Body.
        body: Block,
    },
    /// `break`
    Break,
    /// `continue`
    Continue,
    /// `return`
    Return(Option<Expr>),
    /// `{ … }`
    Block(Block),
    /// `emit name { … }`
    Emit(Emit),
}

/// What a `for` walks.
#[derive(Debug, Clone)]
pub(crate) enum ForSource {
    /// Every entry of a map.
    Map(Name),
    /// Numbers from the first up to and without the second.
    Range(Expr, Expr),
}

/// `emit name { field: value, … }`
#[derive(Debug, Clone)]
pub(crate) struct Emit {
    /// It travels in the ring of what must not be lost.
    pub critical: bool,
    /// Name of the event.
    pub name: Name,
    /// Fields in order.
    pub fields: Vec<EmitField>,
}

/// A field of an `emit`.
#[derive(Debug, Clone)]
pub(crate) struct EmitField {
    /// Name; may hold dots.
    pub name: Name,
    /// Text of the `///` comment above it.
    pub description: String,
    /// Value.
    pub value: Expr,
}

/// An expression.
#[derive(Debug, Clone)]
pub(crate) struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Where it stands.
    pub span: Span,
}

/// What an expression is.
#[derive(Debug, Clone)]
pub(crate) enum ExprKind {
    /// A number.
    Int(u64),
    /// A string.
    Text(Vec<u8>),
    /// `true`, `false`
    Bool(bool),
    /// A word: builtin, constant or function without parentheses.
    Ident(String),
    /// `$name`
    Local(String),
    /// `@name` or `@name[key, …]`
    Map(MapAccess),
    /// `$1`
    Positional(u32),
    /// `$#`
    PositionalCount,
    /// A prefix operator.
    Unary(UnaryOp, Box<Expr>),
    /// A binary operator.
    Binary(BinaryOp, Box<Expr>, Box<Expr>),
    /// `c ? a : b`; `c ?: b` has no middle.
    Ternary(Box<Expr>, Option<Box<Expr>>, Box<Expr>),
    /// `++x`, `x++`, `--x`, `x--`
    Step {
        /// A variable or map entry.
        target: Box<Expr>,
        /// Up, not down.
        up: bool,
        /// The operator stands in front: the value is the new one.
        prefix: bool,
    },
    /// `base.name` or `base->name`
    Field {
        /// What has the field.
        base: Box<Expr>,
        /// The field.
        name: Name,
    },
    /// `base.0`
    Part {
        /// A tuple.
        base: Box<Expr>,
        /// Which part, from 0.
        idx: u64,
    },
    /// `base[index]`
    Index {
        /// An array, pointer or tuple.
        base: Box<Expr>,
        /// Which element.
        index: Box<Expr>,
    },
    /// `name(args)`
    Call {
        /// The function.
        name: Name,
        /// Arguments.
        args: Vec<Expr>,
    },
    /// `(type)value`
    Cast {
        /// The type.
        type_name: TypeName,
        /// The value.
        value: Box<Expr>,
    },
    /// `(a, b)`
    Tuple(Vec<Expr>),
    /// `sizeof(type)`
    SizeOfType(TypeName),
    /// `sizeof(expression)`
    SizeOfValue(Box<Expr>),
    /// `offsetof(type, field.field)`
    OffsetOf {
        /// The structure.
        type_name: TypeName,
        /// The path of fields.
        fields: Vec<Name>,
    },
}

/// `@name[key, …]`
#[derive(Debug, Clone)]
pub(crate) struct MapAccess {
    /// The map.
    pub name: Name,
    /// The parts of the key; `None` without brackets.
    pub key: Option<Vec<Expr>>,
}

/// Prefix operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UnaryOp {
    /// `-`
    Negate,
    /// `!`
    Not,
    /// `~`
    Complement,
    /// `*`
    Deref,
    /// `&`
    AddressOf,
}

/// Binary operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BinaryOp {
    /// `||`
    Or,
    /// `&&`
    And,
    /// `|`
    BitOr,
    /// `^`
    BitXor,
    /// `&`
    BitAnd,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterEqual,
    /// `<<`
    Shl,
    /// `>>`
    Shr,
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `%`
    Mod,
}

impl BinaryOp {
    /// As it is written.
    pub const fn text(self) -> &'static str {
        match self {
            BinaryOp::Or => "||",
            BinaryOp::And => "&&",
            BinaryOp::BitOr => "|",
            BinaryOp::BitXor => "^",
            BinaryOp::BitAnd => "&",
            BinaryOp::Equal => "==",
            BinaryOp::NotEqual => "!=",
            BinaryOp::Less => "<",
            BinaryOp::LessEqual => "<=",
            BinaryOp::Greater => ">",
            BinaryOp::GreaterEqual => ">=",
            BinaryOp::Shl => "<<",
            BinaryOp::Shr => ">>",
            BinaryOp::Add => "+",
            BinaryOp::Sub => "-",
            BinaryOp::Mul => "*",
            BinaryOp::Div => "/",
            BinaryOp::Mod => "%",
        }
    }

    /// Whether it compares.
    pub const fn is_comparison(self) -> bool {
        matches!(
            self,
            BinaryOp::Equal
                | BinaryOp::NotEqual
                | BinaryOp::Less
                | BinaryOp::LessEqual
                | BinaryOp::Greater
                | BinaryOp::GreaterEqual
        )
    }
}

/// The name of a type as written.
#[derive(Debug, Clone)]
pub(crate) struct TypeName {
    /// `struct`, `union`, `enum` or nothing.
    pub keyword: Option<TypeKeyword>,
    /// `task_struct`, `uint64`, `unsigned int` …
    pub name: String,
    /// `*` and `[N]`, left to right.
    pub suffixes: Vec<TypeSuffix>,
    /// Where it stands.
    pub span: Span,
}

/// Keyword in front of a type's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TypeKeyword {
    /// `struct`
    Struct,
    /// `union`
    Union,
    /// `enum`
    Enum,
}

impl TypeKeyword {
    /// As it is written.
    pub const fn text(self) -> &'static str {
        match self {
            TypeKeyword::Struct => "struct",
            TypeKeyword::Union => "union",
            TypeKeyword::Enum => "enum",
        }
    }
}

/// What follows a type's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TypeSuffix {
    /// `*`
    Pointer,
    /// `[N]`; 0 for `[]`.
    Array(u32),
}

/// A C type that the preamble defines.
#[derive(Debug, Clone)]
pub(crate) struct CType {
    /// `struct`, `union` or `enum`.
    pub keyword: TypeKeyword,
    /// Its name; empty if anonymous.
    pub name: Name,
    /// Members of a structure or union.
    pub members: Vec<CMember>,
    /// Values of an enumeration.
    pub values: Vec<(Name, i64)>,
    /// `__attribute__((packed))`
    pub packed: bool,
}

/// A member of a C structure.
#[derive(Debug, Clone)]
pub(crate) struct CMember {
    /// Its name; empty for an anonymous structure or union.
    pub name: Name,
    /// Its type, where it has a name.
    pub type_name: TypeName,
    /// Its type, where it is defined in place.
    pub inline: Option<Box<CType>>,
    /// Width, for bit fields.
    pub bits: Option<u8>,
}
