//! Values of a template, and how Go prints them.

use std::collections::BTreeMap;

use super::numbers;

/// A value. A sample is a map with `Labels` and `Value`.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Nothing,
    Bool(bool),
    Int(i64),
    Number(f64),
    Text(String),
    List(Vec<Value>),
    Map(BTreeMap<String, Value>),
}

impl Value {
    /// Whether `if` takes it for true: everything that is not empty or zero.
    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Nothing => false,
            Self::Bool(value) => *value,
            Self::Int(value) => *value != 0,
            Self::Number(value) => *value != 0.0,
            Self::Text(text) => !text.is_empty(),
            Self::List(items) => !items.is_empty(),
            Self::Map(map) => !map.is_empty(),
        }
    }

    /// A part of a map; what is not there is an empty text, as a label that is not there.
    pub(super) fn field(&self, name: &str) -> Value {
        match self {
            Self::Map(map) => map.get(name).cloned().unwrap_or_else(|| Value::Text(String::new())),
            _ => Value::Nothing,
        }
    }

    /// As a number, which texts may be too.
    pub(super) fn number(&self) -> Result<f64, String> {
        match self {
            Self::Int(value) => Ok(*value as f64),
            Self::Number(value) => Ok(*value),
            Self::Text(text) => {
                text.parse().map_err(|_| format!("cannot convert {text:?} to a number"))
            }
            other => Err(format!("cannot convert {} to a number", other.print())),
        }
    }

    /// As a text.
    pub(super) fn print(&self) -> String {
        match self {
            Self::Nothing => "<no value>".into(),
            Self::Bool(value) => value.to_string(),
            Self::Int(value) => value.to_string(),
            Self::Number(value) => numbers::general(*value, None),
            Self::Text(text) => text.clone(),
            Self::List(items) => {
                let items: Vec<String> = items.iter().map(Self::print).collect();
                format!("[{}]", items.join(" "))
            }
            Self::Map(map) => {
                let pairs: Vec<String> =
                    map.iter().map(|(name, value)| format!("{name}:{}", value.print())).collect();
                format!("map[{}]", pairs.join(" "))
            }
        }
    }
}
