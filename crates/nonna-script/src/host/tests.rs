//! Tests of the output, to the byte.

use std::sync::Arc;

use nonna_event::{Event, EventSchema, Field, FieldType, Ring, Text, Value};

use super::*;
use crate::host_data::{
    Action, ActionArg, ActionKind, Conversion, Format, FormatPiece, FormatSpec, HostMap, HostType, MapValue,
    Member, Presence, Size, StackMode, Stream,
};

struct Still;

impl Machine for Still {
    fn kernel_symbol(&self, address: u64) -> Option<Symbol> {
        let module = String::new();
        (address == 0xff10).then(|| Symbol { name: "do_sys_open".to_owned(), offset: 16, module })
    }
    fn user_symbol(&self, pid: u32, address: u64) -> Option<Symbol> {
        let symbol = Symbol { name: "main".to_owned(), offset: address, module: "/bin/x".to_owned() };
        (pid == 7).then_some(symbol)
    }
    fn user_name(&self, uid: u32) -> Option<String> {
        (uid == 0).then(|| "root".to_owned())
    }
    fn cgroup_path(&self, _: u64) -> Option<String> {
        None
    }
    fn syscall_name(&self, number: u64) -> Option<String> {
        (number == 257).then(|| "openat".to_owned())
    }
    fn clock_start_ns(&self, _: Clock) -> i128 {
        1_000_000_000
    }
    fn time_zone(&self) -> jiff::tz::TimeZone {
        jiff::tz::TimeZone::UTC
    }
    fn now_ns(&self) -> i128 {
        3_723_004_005_006
    }
}

fn spec(conversion: Conversion) -> FormatSpec {
    FormatSpec {
        left: false,
        plus: false,
        blank: false,
        alternate: false,
        zero: false,
        width: None,
        precision: None,
        int_bytes: 8,
        conversion,
    }
}

fn print_with(spec: FormatSpec, value: HostValue) -> String {
    let host = ScriptHost::default();
    let printer = Printer::new(&host, &Still, OutputFormat::Text);
    let format = Format { pieces: vec![FormatPiece::Arg { arg_idx: 0, spec }] };
    String::from_utf8(printer.printf(&format, &[value])).unwrap()
}

fn text(text: &str) -> HostValue {
    HostValue::Text { bytes: text.as_bytes().to_vec(), cut: false }
}

#[test]
fn integers_format_as_in_c() {
    let cases = [
        (FormatSpec { int_bytes: 4, ..spec(Conversion::Signed) }, 0x1_0000_0001, "1"),
        (FormatSpec { int_bytes: 4, ..spec(Conversion::Signed) }, -1, "-1"),
        (FormatSpec { int_bytes: 4, ..spec(Conversion::Unsigned) }, -1, "4294967295"),
        (FormatSpec { int_bytes: 1, ..spec(Conversion::HexLower) }, -1, "ff"),
        (FormatSpec { width: Some(Size::Fixed(6)), ..spec(Conversion::Signed) }, 42, "    42"),
        (FormatSpec { width: Some(Size::Fixed(6)), left: true, ..spec(Conversion::Signed) }, 42, "42    "),
        (FormatSpec { width: Some(Size::Fixed(6)), zero: true, ..spec(Conversion::Signed) }, -42, "-00042"),
        (FormatSpec { precision: Some(Size::Fixed(4)), ..spec(Conversion::Signed) }, -42, "-0042"),
        (FormatSpec { plus: true, ..spec(Conversion::Signed) }, 42, "+42"),
        (FormatSpec { alternate: true, ..spec(Conversion::HexUpper) }, 255, "0XFF"),
        (FormatSpec { alternate: true, ..spec(Conversion::Octal) }, 8, "010"),
        (spec(Conversion::Pointer), 255, "0xff"),
        (spec(Conversion::Char), 65, "A"),
    ];
    for (spec, number, expected) in cases {
        assert_eq!(print_with(spec, HostValue::Signed(number)), expected, "{spec:?}");
    }
}

#[test]
fn text_takes_anything() {
    let wide = FormatSpec { width: Some(Size::Fixed(6)), left: true, ..spec(Conversion::Text) };
    assert_eq!(print_with(wide, text("ab")), "ab    ");
    let cut = HostValue::Text { bytes: b"ab".to_vec(), cut: true };
    assert_eq!(print_with(spec(Conversion::Text), cut), "ab..");
    assert_eq!(print_with(spec(Conversion::Text), HostValue::UserName(0)), "root");
    let tuple = HostValue::Tuple(vec![
        HostValue::Signed(1),
        HostValue::Tuple(vec![text("a"), HostValue::Bool(true)]),
    ]);
    assert_eq!(print_with(spec(Conversion::Text), tuple), "(1, (a, true))");
    let record = HostValue::Record(vec![("f".to_owned(), HostValue::Signed(1)), ("g".to_owned(), text("x"))]);
    assert_eq!(print_with(spec(Conversion::Text), record), "{ .f = 1, .g = x }");
    let array = HostValue::Array(vec![HostValue::Unsigned(1), HostValue::Unsigned(2)]);
    assert_eq!(print_with(spec(Conversion::Text), array), "[1,2]");
    assert_eq!(print_with(spec(Conversion::Raw), HostValue::Buffer(vec![65, 0, 10])), "A\\x00\\x0a");
    assert_eq!(print_with(spec(Conversion::RawHex), HostValue::Buffer(vec![65, 0])), "\\x41\\x00");
    assert_eq!(print_with(spec(Conversion::Hex), HostValue::Buffer(vec![10, 254])), "0a fe");
    assert_eq!(
        print_with(spec(Conversion::Text), HostValue::Mac([0, 17, 34, 51, 68, 255])),
        "00:11:22:33:44:FF"
    );
    let number = HostValue::Symbolic(crate::host_data::SymbolTable::ErrorMessage, 2);
    assert_eq!(print_with(spec(Conversion::Text), number), "No such file or directory");
}

#[test]
fn stacks_print_a_frame_a_line() {
    let stack = |pid, mode| HostValue::Stack { pid, frames: vec![0xff10, 0x20], mode };
    let shown = print_with(spec(Conversion::Text), stack(None, StackMode::Symbols));
    assert_eq!(shown, "\n        do_sys_open+16\n        0x20\n");
    let shown = print_with(spec(Conversion::Text), stack(Some(7), StackMode::Perf));
    assert_eq!(shown, "\n\tff10 main+65296 (/bin/x)\n\t20 main+32 (/bin/x)\n");
    assert_eq!(print_with(spec(Conversion::Text), stack(None, StackMode::Raw)), "\nff10\n20\n");
}

#[test]
fn times_have_fractions() {
    let time =
        HostValue::Timestamp { ns: 2_000_000, format: "%H:%M:%S.%f %l".to_owned(), clock: Clock::Boot };
    assert_eq!(print_with(spec(Conversion::Text), time), "00:00:01.002000 002");
}

fn member(offset: u32, host_type: HostType) -> Member {
    Member { name: String::new(), offset, host_type }
}

fn map(key: Vec<Member>, value: MapValue, per_cpu: bool) -> HostMap {
    HostMap {
        name: "@a".to_owned(),
        map_name: "a".to_owned(),
        key,
        key_bytes: 24,
        value_bytes: 8,
        value,
        per_cpu,
        max_entries: 10,
        presence: Presence::Entry,
    }
}

fn printed(map: HostMap, entries: &[RawEntry], top: u64, div: u64) -> (String, String) {
    let host = ScriptHost { maps: vec![map], ..ScriptHost::default() };
    let print = |format| {
        String::from_utf8(Printer::new(&host, &Still, format).print_map(0, entries, top, div)).unwrap()
    };
    (print(OutputFormat::Text), print(OutputFormat::Json))
}

fn words(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|n| n.to_ne_bytes()).collect()
}

fn key(number: u64, name: &str) -> Vec<u8> {
    let mut key = words(&[number]);
    key.extend(name.as_bytes());
    key.resize(24, 0);
    key
}

#[test]
fn keyed_counts_sort_by_value() {
    let parts = vec![member(0, HostType::U64), member(8, HostType::Text { bytes: 16 })];
    let entries =
        [(key(1, "x"), words(&[2, 3])), (key(2, "y"), words(&[1, 0])), (key(3, "z"), words(&[9, 0]))];
    let (text, json) = printed(map(parts.clone(), MapValue::Count, true), &entries, 0, 1);
    assert_eq!(text, "@a[2, y]: 1\n@a[1, x]: 5\n@a[3, z]: 9\n");
    assert_eq!(json, "{\"type\": \"map\", \"data\": {\"@a\": {\"2,y\": 1, \"1,x\": 5, \"3,z\": 9}}}\n");
    let (text, _) = printed(map(parts, MapValue::Count, true), &entries, 1, 3);
    assert_eq!(text, "@a[3, z]: 3\n");
}

#[test]
fn scalars_and_text_values() {
    let (text, json) =
        printed(map(Vec::new(), MapValue::Plain(HostType::I64), false), &[(vec![0; 4], words(&[5]))], 0, 1);
    assert_eq!((text.as_str(), json.as_str()), ("@a: 5\n", "{\"type\": \"map\", \"data\": {\"@a\": 5}}\n"));
    let parts = vec![member(0, HostType::U64)];
    let plain = MapValue::Plain(HostType::Text { bytes: 8 });
    let entries = [(words(&[2]), b"b\0\0\0\0\0\0\0".to_vec()), (words(&[1]), b"c\0\0\0\0\0\0\0".to_vec())];
    assert_eq!(printed(map(parts, plain, false), &entries, 0, 1).0, "@a[1]: c\n@a[2]: b\n");
}

#[test]
fn big_numbers_are_strings_in_json() {
    let (_, json) = printed(
        map(Vec::new(), MapValue::Plain(HostType::U64), false),
        &[(vec![0; 4], words(&[u64::MAX]))],
        0,
        1,
    );
    assert_eq!(json, "{\"type\": \"map\", \"data\": {\"@a\": \"18446744073709551615\"}}\n");
}

#[test]
fn aggregations_join_the_processors() {
    let one = |value, entry: &[u64]| {
        let map = HostMap { value_bytes: 16, ..map(Vec::new(), value, true) };
        printed(map, &[(vec![0; 4], words(entry))], 0, 1)
    };
    let minus = (-3_i64).cast_unsigned();
    assert_eq!(one(MapValue::Min { signed: true }, &[5, 1, minus, 1]).0, "@a: -3\n");
    assert_eq!(one(MapValue::Max { signed: true }, &[0, 0, minus, 1]).0, "@a: -3\n");
    assert_eq!(one(MapValue::Avg { signed: true }, &[10, 2, 2, 1]).0, "@a: 4\n");
    let (text, json) = one(MapValue::Stats { signed: false }, &[10, 2, 2, 1]);
    assert_eq!(text, "@a: { .count = 3, .average = 4, .total = 12 }\n");
    assert_eq!(
        json,
        "{\"type\": \"stats\", \"data\": {\"@a\": {\"count\": 3, \"average\": 4, \"total\": 12}}}\n"
    );
}

#[test]
fn unset_array_entries_do_not_print() {
    let map = HostMap { presence: Presence::NonZero { offset: 0 }, ..map(Vec::new(), MapValue::Count, true) };
    assert_eq!(printed(map, &[(vec![0; 4], words(&[0, 0]))], 0, 1).0, "");
}

#[test]
fn histograms_join_their_buckets() {
    let parts = vec![member(0, HostType::U64)];
    let entries = [(words(&[7, 4]), words(&[1, 1])), (words(&[7, 5]), words(&[4, 0]))];
    let (text, json) = printed(map(parts, MapValue::Hist { bits: 0 }, true), &entries, 0, 1);
    let half = format!("[4, 8)                 2 |{:<52}|", "@".repeat(26));
    let full = format!("[8, 16)                4 |{}|", "@".repeat(52));
    assert_eq!(text, format!("@a[7]:\n{half}\n{full}\n\n"));
    let data = "[{\"min\": 4, \"max\": 7, \"count\": 2},{\"min\": 8, \"max\": 15, \"count\": 4}]";
    assert_eq!(json, format!("{{\"type\": \"hist\", \"data\": {{\"@a\": {{\"7\": {data}}}}}}}\n"));
}

#[test]
fn counts_beyond_64_bits_wrap() {
    let entry = |key, bucket, count| (words(&[key, bucket]), words(&[count, 0]));
    // The buckets of 7 count 1 in all, and those of 9 count 2.
    let entries = [entry(9, 4, u64::MAX), entry(9, 5, 3), entry(7, 4, u64::MAX), entry(7, 4, 2)];
    let map = map(vec![member(0, HostType::U64)], MapValue::Hist { bits: 0 }, true);
    let (text, _) = printed(map, &entries, 0, 1);
    let places = [text.find("@a[7]:").unwrap(), text.find("[4, 8)                 1 |").unwrap()];
    assert!(places.is_sorted() && places[1] < text.find("@a[9]:").unwrap(), "{text}");
}

#[test]
fn actions_print_or_ask() {
    let field =
        |name: &str, field_type| Field { name: name.to_owned(), field_type, description: String::new() };
    let fields =
        vec![field("a", FieldType::Text { max_bytes: 8 }), field("b", FieldType::Unsigned { bytes: 4 })];
    let schema = EventSchema { id: 1, name: "printf#0".to_owned(), fields, ring: Ring::Volume };
    let value = Value::Text(Text { bytes: b"ciao".to_vec(), truncated_from: None, racy: false });
    let event = Event { schema: Arc::new(schema), generation: 0, values: vec![value, Value::Unsigned(3)] };
    let arg = |field_idx, host_type| ActionArg { field_idx, host_type, pid_field_idx: None };
    let args = vec![arg(0, HostType::Text { bytes: 8 }), arg(1, HostType::Int { bytes: 4, signed: false })];
    let host = ScriptHost::default();
    let perform = |kind, format| {
        let action = Action { schema_id: 1, kind, args: args.clone() };
        Printer::new(&host, &Still, format).perform(&action, &event)
    };
    let format = Format {
        pieces: vec![
            FormatPiece::Arg { arg_idx: 0, spec: spec(Conversion::Text) },
            FormatPiece::Literal(b" ".to_vec()),
            FormatPiece::Arg { arg_idx: 1, spec: spec(Conversion::Signed) },
            FormatPiece::Literal(b"\n".to_vec()),
        ],
    };
    let printf = ActionKind::Printf { stream: Stream::Plain, format: format.clone(), line: 1, column: 9 };
    assert_eq!(perform(printf.clone(), OutputFormat::Text), Deed::Print(b"ciao 3\n".to_vec()));
    let json = b"{\"type\": \"printf\", \"data\": \"ciao 3\\n\"}\n".to_vec();
    assert_eq!(perform(printf, OutputFormat::Json), Deed::Print(json));
    assert_eq!(perform(ActionKind::Cat { format }, OutputFormat::Text), Deed::Cat(b"ciao 3\n".to_vec()));
    assert_eq!(perform(ActionKind::PrintValue, OutputFormat::Text), Deed::Print(b"ciao\n".to_vec()));
    let time = ActionKind::Time { format: "%H:%M:%S\n".to_owned() };
    assert_eq!(perform(time, OutputFormat::Text), Deed::Print(b"01:02:03\n".to_vec()));
}
