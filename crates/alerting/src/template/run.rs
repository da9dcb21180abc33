//! Walks the tree of a template and writes its text.

use super::functions;
use super::parser::{Block, Command, Node, Operand, Pipeline};
use super::value::Value;
use super::{Context, TemplateError};

/// The longest text that a template may make, in bytes.
pub(super) const MAX_OUTPUT: usize = 64 << 10;
/// The most nodes that are walked, however often loops repeat them.
const MAX_WALKED: usize = 1_000_000;

struct Run<'a> {
    out: String,
    walked: usize,
    variables: Vec<(String, Value)>,
    context: &'a Context<'a>,
}

/// The text of a tree.
pub(super) fn run(
    nodes: &[Node],
    dot: &Value,
    context: &Context<'_>,
) -> Result<String, TemplateError> {
    let mut variables = vec![(String::new(), dot.clone())];
    for (name, field) in [
        ("labels", "Labels"),
        ("externalLabels", "ExternalLabels"),
        ("externalURL", "ExternalURL"),
        ("value", "Value"),
    ] {
        variables.push((name.to_owned(), dot.field(field)));
    }
    let mut run = Run { out: String::new(), walked: 0, variables, context };
    run.nodes(nodes, dot)?;
    Ok(run.out)
}

impl Run<'_> {
    fn nodes(&mut self, nodes: &[Node], dot: &Value) -> Result<(), TemplateError> {
        let known = self.variables.len();
        for node in nodes {
            self.node(node, dot)?;
            self.walked += 1;
            if self.out.len() > MAX_OUTPUT || self.walked > MAX_WALKED {
                return Err(TemplateError::TooLong);
            }
        }
        self.variables.truncate(known);
        Ok(())
    }

    fn node(&mut self, node: &Node, dot: &Value) -> Result<(), TemplateError> {
        match node {
            Node::Text(text) => self.out.push_str(text),
            Node::Output(pipeline) => {
                let value = self.pipeline(pipeline, dot)?;
                self.out.push_str(&value.print());
            }
            Node::Set { name, declares, value } => {
                let value = self.pipeline(value, dot)?;
                let known = self.variables.iter_mut().rev().find(|(known, _)| known == name);
                match known {
                    Some(known) if !declares => known.1 = value,
                    _ => self.variables.push((name.clone(), value)),
                }
            }
            Node::If(block) => {
                let holds = self.pipeline(&block.about, dot)?.is_true();
                self.nodes(if holds { &block.body } else { &block.other }, dot)?;
            }
            Node::With(block) => {
                let about = self.pipeline(&block.about, dot)?;
                if about.is_true() {
                    self.nodes(&block.body, &about)?;
                } else {
                    self.nodes(&block.other, dot)?;
                }
            }
            Node::Range { key, item, block } => {
                self.range(key.as_ref(), item.as_ref(), block, dot)?;
            }
        }
        Ok(())
    }

    fn range(
        &mut self,
        key: Option<&String>,
        item: Option<&String>,
        block: &Block,
        dot: &Value,
    ) -> Result<(), TemplateError> {
        let items: Vec<(Value, Value)> = match self.pipeline(&block.about, dot)? {
            Value::List(items) => (0..).map(Value::Int).zip(items).collect(),
            Value::Map(map) => {
                map.into_iter().map(|(name, value)| (Value::Text(name), value)).collect()
            }
            Value::Nothing => Vec::new(),
            other => {
                let problem = format!("can't iterate over {}", other.print());
                return Err(TemplateError::Call { function: "range", problem });
            }
        };
        if items.is_empty() {
            return self.nodes(&block.other, dot);
        }
        for (index, value) in items {
            let known = self.variables.len();
            self.variables.extend(key.map(|name| (name.clone(), index.clone())));
            self.variables.extend(item.map(|name| (name.clone(), value.clone())));
            self.nodes(&block.body, &value)?;
            self.variables.truncate(known);
        }
        Ok(())
    }

    fn pipeline(&self, pipeline: &Pipeline, dot: &Value) -> Result<Value, TemplateError> {
        let mut piped = None;
        for command in &pipeline.0 {
            let value = match command {
                Command::Value(operand) => self.operand(operand, dot)?,
                Command::Call(function, operands) => {
                    let operands = operands.iter().map(|operand| self.operand(operand, dot));
                    let mut arguments = operands.collect::<Result<Vec<_>, _>>()?;
                    arguments.extend(piped);
                    functions::call(*function, &arguments, self.context)?
                }
            };
            piped = Some(value);
        }
        Ok(piped.unwrap_or(Value::Nothing))
    }

    fn operand(&self, operand: &Operand, dot: &Value) -> Result<Value, TemplateError> {
        let walk = |from: &Value, path: &[String]| {
            path.iter().fold(from.clone(), |value, name| value.field(name))
        };
        match operand {
            Operand::Literal(value) => Ok(value.clone()),
            Operand::Dot(path) => Ok(walk(dot, path)),
            Operand::Variable(name, path) => {
                let found = self.variables.iter().rev().find(|(known, _)| known == name);
                let (_, value) =
                    found.ok_or_else(|| TemplateError::Variable(format!("${name}")))?;
                Ok(walk(value, path))
            }
            Operand::Nested(pipeline) => self.pipeline(pipeline, dot),
        }
    }
}
