//! The page's types, made from the view models.
//!
//! `web/src/lib/types.ts` is committed, so that the page builds without Rust. The test fails when it has drifted; with
//! `EDGEWARD_UPDATE_TYPES=1`, as `cargo xtask types` calls it, it writes the file.

use std::{collections::BTreeSet, env, fmt::Write as _, fs, path::Path};

use serde_json::{Map, Value};

use graph::principal::Kind;

use crate::http::openapi_document;

const HEADER: &str = "\
// Made from the Rust view models by `cargo xtask types`; do not edit.
";

/// The alias `UnixSeconds` is described under the name of what it stands for.
const UNIX_SECONDS: &str = "i64";

/// All schemas of the API as TypeScript, in alphabetical order.
fn render() -> String {
    let document = serde_json::to_value(openapi_document()).expect("a description becomes JSON");
    let schemas = document["components"]["schemas"].as_object().expect("there are schemas");
    let mut text = HEADER.to_owned();
    for (name, schema) in schemas.iter().filter(|(name, _)| *name != UNIX_SECONDS) {
        doc(&mut text, schema, "");
        if is_object(schema) {
            writeln!(text, "export interface {name} {}\n", object(schema, ""))
                .expect("a string takes everything");
        } else {
            writeln!(text, "export type {name} = {};\n", type_of(schema, ""))
                .expect("a string takes everything");
        }
    }
    let codes = &schemas["ProblemCode"]["enum"];
    writeln!(text, "/** All of them. */\nexport const PROBLEM_CODES: readonly ProblemCode[] = {codes};\n")
        .expect("a string takes everything");
    let kinds = Kind::ALL.iter().map(|kind| format!("\n  | {:?}", kind.as_str()));
    text.push_str("/** What a device is. */\nexport type Kind =");
    text.extend(kinds);
    text.push_str(";\n\n/** Seconds since 1970. */\nexport type UnixSeconds = number;\n");
    text
}

fn is_object(schema: &Value) -> bool {
    schema["type"] == "object" && schema["properties"].is_object()
}

fn doc(text: &mut String, schema: &Value, indent: &str) {
    if let Some(words) = schema["description"].as_str() {
        let words = words.replace('\n', " ");
        writeln!(text, "{indent}/** {words} */").expect("a string takes everything");
    }
}

fn object(schema: &Value, indent: &str) -> String {
    let inner = format!("{indent}  ");
    let required: BTreeSet<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut text = String::from("{\n");
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        doc(&mut text, property, &inner);
        let optional = if required.contains(name.as_str()) { "" } else { "?" };
        writeln!(text, "{inner}{name}{optional}: {};", type_of(property, &inner))
            .expect("a string takes everything");
    }
    write!(text, "{indent}}}").expect("a string takes everything");
    text
}

fn type_of(schema: &Value, indent: &str) -> String {
    if let Some(reference) = schema["$ref"].as_str() {
        let (_, name) = reference.rsplit_once('/').expect("a reference has a path");
        return if name == UNIX_SECONDS { "UnixSeconds" } else { name }.to_owned();
    }
    for alternatives in ["oneOf", "anyOf"] {
        if let Some(schemas) = schema[alternatives].as_array() {
            return alternatives_of(schemas.iter().map(|schema| type_of(schema, indent)));
        }
    }
    if let Some(schemas) = schema["allOf"].as_array() {
        let types: Vec<String> = schemas.iter().map(|schema| type_of(schema, indent)).collect();
        return types.join(" & ");
    }
    if let Some(values) = schema["enum"].as_array() {
        return alternatives_of(values.iter().map(Value::to_string));
    }
    match &schema["type"] {
        Value::String(kind) => plain(kind, schema, indent),
        Value::Array(kinds) => {
            alternatives_of(kinds.iter().filter_map(Value::as_str).map(|kind| plain(kind, schema, indent)))
        }
        _ => "unknown".to_owned(),
    }
}

fn plain(kind: &str, schema: &Value, indent: &str) -> String {
    match kind {
        "string" => "string".to_owned(),
        "integer" | "number" => "number".to_owned(),
        "boolean" => "boolean".to_owned(),
        "null" => "null".to_owned(),
        "array" => {
            let item = type_of(&schema["items"], indent);
            if item.contains('|') { format!("({item})[]") } else { format!("{item}[]") }
        }
        "object" if schema["properties"].as_object().is_some_and(|fields| !Map::is_empty(fields)) => {
            object(schema, indent)
        }
        "object" if schema["additionalProperties"].is_object() => {
            format!("Record<string, {}>", type_of(&schema["additionalProperties"], indent))
        }
        "object" => "Record<string, never>".to_owned(),
        other => panic!("{other} has no type here yet"),
    }
}

fn alternatives_of(types: impl Iterator<Item = String>) -> String {
    types.collect::<Vec<_>>().join(" | ")
}

#[test]
fn types_of_the_page_are_those_of_the_view_models() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("web/src/lib/types.ts");
    let types = render();
    if env::var_os("EDGEWARD_UPDATE_TYPES").is_some() {
        fs::write(&path, &types).expect("the checkout can be written");
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == types,
        "web/src/lib/types.ts is not made from these view models; run `cargo xtask types` and look at the change"
    );
}
