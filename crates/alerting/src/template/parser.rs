//! The tokens of a template as a tree. Names of functions and variables are checked here.

use std::collections::VecDeque;

use super::TemplateError;
use super::functions::{self, Function};
use super::lexer::{Piece, Token, pieces};
use super::value::Value;

/// How deep blocks and parentheses may be nested.
const MAX_DEPTH: usize = 50;

/// A part of a template.
#[derive(Debug, Clone)]
pub(super) enum Node {
    Text(String),
    Output(Pipeline),
    /// Declares or sets a variable.
    Set {
        name: String,
        declares: bool,
        value: Pipeline,
    },
    If(Block),
    With(Block),
    Range {
        key: Option<String>,
        item: Option<String>,
        block: Block,
    },
}

/// What is done if something is true, and what else.
#[derive(Debug, Clone)]
pub(super) struct Block {
    pub(super) about: Pipeline,
    pub(super) body: Vec<Node>,
    pub(super) other: Vec<Node>,
}

/// Commands, each with the value of the one before it as its last argument.
#[derive(Debug, Clone)]
pub(super) struct Pipeline(pub(super) Vec<Command>);

#[derive(Debug, Clone)]
pub(super) enum Command {
    Value(Operand),
    Call(Function, Vec<Operand>),
}

#[derive(Debug, Clone)]
pub(super) enum Operand {
    Literal(Value),
    Dot(Vec<String>),
    Variable(String, Vec<String>),
    /// A pipeline in parentheses, or a function without arguments.
    Nested(Pipeline),
}

/// How a list of nodes ended.
enum Ending {
    Text,
    End,
    Else(VecDeque<Token>),
}

struct Parser {
    pieces: VecDeque<Piece>,
    /// The variables that are known, the newest last.
    variables: Vec<String>,
    depth: usize,
}

fn syntax(problem: impl Into<String>) -> TemplateError {
    TemplateError::Syntax(problem.into())
}

/// The tree of a text.
pub(super) fn parse(text: &str) -> Result<Vec<Node>, TemplateError> {
    let known = ["", "labels", "externalLabels", "externalURL", "value"];
    let mut parser = Parser {
        pieces: pieces(text)?.into(),
        variables: known.map(str::to_owned).to_vec(),
        depth: 0,
    };
    match parser.nodes()? {
        (nodes, Ending::Text) => Ok(nodes),
        (_, Ending::End) => Err(syntax("unexpected `end`")),
        (_, Ending::Else(_)) => Err(syntax("unexpected `else`")),
    }
}

impl Parser {
    fn nodes(&mut self) -> Result<(Vec<Node>, Ending), TemplateError> {
        let mut nodes = Vec::new();
        while let Some(piece) = self.pieces.pop_front() {
            let mut tokens: VecDeque<Token> = match piece {
                Piece::Text(text) => {
                    nodes.push(Node::Text(text));
                    continue;
                }
                Piece::Action(tokens) => tokens.into(),
            };
            let keyword = match tokens.front() {
                Some(Token::Word(word)) => word.clone(),
                _ => String::new(),
            };
            if matches!(keyword.as_str(), "if" | "with" | "range" | "end" | "else") {
                tokens.pop_front();
            }
            nodes.push(match keyword.as_str() {
                "end" => return Ok((nodes, Ending::End)),
                "else" => return Ok((nodes, Ending::Else(tokens))),
                "if" | "with" => {
                    let known = self.variables.len();
                    let about = self.whole_pipeline(&mut tokens)?;
                    let block = self.block(about, known)?;
                    if keyword == "if" { Node::If(block) } else { Node::With(block) }
                }
                "range" => self.range(&mut tokens)?,
                "define" | "template" | "block" | "break" | "continue" => {
                    return Err(syntax(format!("`{keyword}` is not supported")));
                }
                _ => self.output(&mut tokens)?,
            });
        }
        Ok((nodes, Ending::Text))
    }

    /// The rest of a block whose condition was read; `known` variables were known before it.
    fn block(&mut self, about: Pipeline, known: usize) -> Result<Block, TemplateError> {
        self.deeper()?;
        let (body, ending) = self.nodes()?;
        let other = match ending {
            Ending::Text => return Err(syntax("a block has no `end`")),
            Ending::End => Vec::new(),
            Ending::Else(mut tokens) => match tokens.pop_front() {
                None => match self.nodes()? {
                    (nodes, Ending::End) => nodes,
                    (_, Ending::Text) => return Err(syntax("a block has no `end`")),
                    (_, Ending::Else(_)) => return Err(syntax("unexpected `else`")),
                },
                Some(Token::Word(word)) if word == "if" || word == "with" => {
                    let about = self.whole_pipeline(&mut tokens)?;
                    let nested = self.block(about, known)?;
                    vec![if word == "if" { Node::If(nested) } else { Node::With(nested) }]
                }
                Some(other) => return Err(syntax(format!("unexpected {other:?} after `else`"))),
            },
        };
        self.variables.truncate(known);
        self.depth -= 1;
        Ok(Block { about, body, other })
    }

    fn range(&mut self, tokens: &mut VecDeque<Token>) -> Result<Node, TemplateError> {
        let known = self.variables.len();
        let mut names = Vec::new();
        if tokens.contains(&Token::Sign(':')) {
            while let Some(token) = tokens.pop_front() {
                match token {
                    Token::Variable(name, path) if path.is_empty() => names.push(name),
                    Token::Sign(',') => {}
                    Token::Sign(':') => break,
                    other => return Err(syntax(format!("unexpected {other:?} in `range`"))),
                }
            }
        }
        let about = self.whole_pipeline(tokens)?;
        self.variables.extend(names.iter().cloned());
        let item = names.pop();
        let key = names.pop();
        Ok(Node::Range { key, item, block: self.block(about, known)? })
    }

    fn output(&mut self, tokens: &mut VecDeque<Token>) -> Result<Node, TemplateError> {
        let declares = match tokens.get(1) {
            Some(Token::Sign(':')) => true,
            Some(Token::Sign('=')) => false,
            _ => return Ok(Node::Output(self.whole_pipeline(tokens)?)),
        };
        let Some(Token::Variable(name, path)) = tokens.pop_front() else {
            return Err(syntax("only variables can be set"));
        };
        tokens.pop_front();
        if !path.is_empty() {
            return Err(syntax("only variables can be set"));
        }
        let value = self.whole_pipeline(tokens)?;
        if declares {
            self.variables.push(name.clone());
        } else {
            self.check_variable(&name)?;
        }
        Ok(Node::Set { name, declares, value })
    }

    fn whole_pipeline(&mut self, tokens: &mut VecDeque<Token>) -> Result<Pipeline, TemplateError> {
        let pipeline = self.pipeline(tokens)?;
        match tokens.pop_front() {
            None => Ok(pipeline),
            Some(token) => Err(syntax(format!("unexpected {token:?}"))),
        }
    }

    /// Commands up to the end or a closing parenthesis.
    fn pipeline(&mut self, tokens: &mut VecDeque<Token>) -> Result<Pipeline, TemplateError> {
        self.deeper()?;
        let mut commands = Vec::new();
        loop {
            commands.push(self.command(tokens, commands.is_empty())?);
            match tokens.front() {
                Some(Token::Sign('|')) => drop(tokens.pop_front()),
                _ => break,
            }
        }
        self.depth -= 1;
        Ok(Pipeline(commands))
    }

    fn command(
        &mut self,
        tokens: &mut VecDeque<Token>,
        is_first: bool,
    ) -> Result<Command, TemplateError> {
        let mut function = None;
        if let Some(Token::Word(word)) = tokens.front()
            && !matches!(word.as_str(), "true" | "false" | "nil")
        {
            let found = functions::find(word);
            function = Some(found.ok_or_else(|| TemplateError::Function(word.clone()))?);
            tokens.pop_front();
        }
        let mut operands = Vec::new();
        while let Some(token) = tokens.front() {
            if matches!(token, Token::Sign(')' | '|')) {
                break;
            }
            let token = tokens.pop_front().expect("there was one in front");
            operands.push(self.operand(token, tokens)?);
        }
        match (function, operands.len()) {
            (Some(function), _) => Ok(Command::Call(function, operands)),
            (None, 1) if is_first => Ok(Command::Value(operands.remove(0))),
            (None, 0) => Err(syntax("missing value for command")),
            (None, _) => Err(syntax("a value that is no function has arguments")),
        }
    }

    fn operand(
        &mut self,
        token: Token,
        tokens: &mut VecDeque<Token>,
    ) -> Result<Operand, TemplateError> {
        Ok(match token {
            Token::Text(text) => Operand::Literal(Value::Text(text)),
            Token::Int(int) => Operand::Literal(Value::Int(int)),
            Token::Number(number) => Operand::Literal(Value::Number(number)),
            Token::Dot(path) => Operand::Dot(path),
            Token::Variable(name, path) => {
                self.check_variable(&name)?;
                Operand::Variable(name, path)
            }
            Token::Word(word) => match word.as_str() {
                "true" => Operand::Literal(Value::Bool(true)),
                "false" => Operand::Literal(Value::Bool(false)),
                "nil" => Operand::Literal(Value::Nothing),
                name => {
                    let function = functions::find(name);
                    let function = function.ok_or_else(|| TemplateError::Function(word.clone()))?;
                    Operand::Nested(Pipeline(vec![Command::Call(function, Vec::new())]))
                }
            },
            Token::Sign('(') => {
                let nested = self.pipeline(tokens)?;
                match tokens.pop_front() {
                    Some(Token::Sign(')')) => Operand::Nested(nested),
                    _ => return Err(syntax("unclosed parenthesis")),
                }
            }
            other @ Token::Sign(_) => return Err(syntax(format!("unexpected {other:?}"))),
        })
    }

    fn check_variable(&self, name: &str) -> Result<(), TemplateError> {
        if self.variables.iter().any(|known| known == name) {
            return Ok(());
        }
        Err(TemplateError::Variable(format!("${name}")))
    }

    fn deeper(&mut self) -> Result<(), TemplateError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(syntax(format!("nested more than {MAX_DEPTH} deep")));
        }
        Ok(())
    }
}
