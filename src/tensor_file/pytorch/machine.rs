//! The stack machine that a pickle is a program for: it builds a [`Heap`] and calls nothing.
//!
//! A class or a function is a name. Calling one makes an [`Object`] that remembers the name and the arguments, and takes
//! whatever is appended, put in or set on it. So every class of every library is read alike, and none of it is run.
//!
//! Nothing recurses, no length is believed before that many bytes are there, and no step takes more than its bytes: a pickle
//! costs about a hundred bytes of memory for each of its own at most.
use super::bytes::Bytes;
use super::heap::{Heap, Node, Object, Value};
use super::opcodes::*;
use super::scalars;
use std::collections::HashMap;

/// The newest protocol.
const NEWEST: u8 = 5;

/// What a pickle describes: its nodes and the value of the whole.
///
/// # Errors
/// What is wrong, and at which byte.
pub(super) fn read(pickle: &[u8]) -> Result<(Heap<'_>, Value), String> {
    let mut machine = Machine {
        bytes: Bytes::new(pickle),
        heap: Heap::new(pickle),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
    };
    loop {
        let at = machine.bytes.at();
        match machine.step() {
            Ok(Some(root)) => return Ok((machine.heap, root)),
            Ok(None) => {}
            Err(what) => return Err(format!("{what}, at byte {at} of {}", pickle.len())),
        }
    }
}

struct Machine<'a> {
    bytes: Bytes<'a>,
    heap: Heap<'a>,
    stack: Vec<Value>,
    /// The heights of the stack where something was begun.
    marks: Vec<u32>,
    memo: HashMap<u32, Value>,
}

impl Machine<'_> {
    /// Does one step; the value of the whole if it was the last.
    fn step(&mut self) -> Result<Option<Value>, String> {
        match self.bytes.byte()? {
            STOP => return self.pop().map(Some),
            PROTO => {
                let protocol = self.bytes.byte()?;
                if protocol > NEWEST {
                    return Err(format!("it is of protocol {protocol}, and the newest is {NEWEST}"));
                }
            }
            FRAME => drop(self.bytes.array::<8>()?),
            MARK => self.marks.push(self.stack.len() as u32),
            POP if self.is_marked() => drop(self.marks.pop()),
            POP => drop(self.pop()?),
            POP_MARK => drop(self.since_mark()?),
            DUP => self.stack.push(self.top()?),
            READONLY_BUFFER => drop(self.top()?),
            opcode @ (GET | BINGET | LONG_BINGET | PUT | BINPUT | LONG_BINPUT | MEMOIZE) => self.remember(opcode)?,
            opcode @ (APPEND | APPENDS | ADDITEMS | SETITEM | SETITEMS | BUILD) => self.fill(opcode)?,
            opcode => {
                let value = match opcode {
                    EMPTY_TUPLE | TUPLE | TUPLE1 | TUPLE2 | TUPLE3 => self.tuple(opcode)?,
                    EMPTY_LIST | EMPTY_SET | LIST | FROZENSET | EMPTY_DICT | DICT => self.container(opcode)?,
                    GLOBAL | STACK_GLOBAL | EXT1 | EXT2 | EXT4 => self.class(opcode)?,
                    REDUCE | INST | OBJ | NEWOBJ | NEWOBJ_EX | PERSID | BINPERSID => self.object(opcode)?,
                    NONE | NEWTRUE | NEWFALSE | INT | BININT | BININT1 | BININT2 | LONG | LONG1 | LONG4 | FLOAT
                    | BINFLOAT => scalars::number(&mut self.bytes, opcode)?,
                    _ => scalars::text(&mut self.bytes, opcode)?,
                };
                self.stack.push(value);
            }
        }
        Ok(None)
    }

    /// Whether nothing was pushed since the last mark.
    fn is_marked(&self) -> bool {
        self.marks.last().is_some_and(|mark| *mark as usize == self.stack.len())
    }

    fn top(&self) -> Result<Value, String> {
        let top = self.stack.last().filter(|_| !self.is_marked());
        top.copied().ok_or("a value is missing on its stack".into())
    }

    fn pop(&mut self) -> Result<Value, String> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn since_mark(&mut self) -> Result<Vec<Value>, String> {
        let mark = self.marks.pop().ok_or("a mark is missing on its stack")?;
        Ok(self.stack.split_off(mark as usize))
    }

    /// Keys and values since the last mark.
    fn pairs_since_mark(&mut self) -> Result<Vec<(Value, Value)>, String> {
        let values = self.since_mark()?;
        let (pairs, rest) = values.as_chunks::<2>();
        if rest.is_empty() {
            Ok(pairs.iter().map(|[key, value]| (*key, *value)).collect())
        } else {
            Err("a key in it has no value".into())
        }
    }

    fn remember(&mut self, opcode: u8) -> Result<(), String> {
        let number = match opcode {
            GET | PUT => {
                let line = self.bytes.words()?;
                line.parse().map_err(|_| format!("`{}` is no number", line.escape_debug()))?
            }
            BINGET | BINPUT => self.bytes.byte()?.into(),
            LONG_BINGET | LONG_BINPUT => self.bytes.u32()?,
            _ => self.memo.len() as u32,
        };
        if matches!(opcode, GET | BINGET | LONG_BINGET) {
            let value = self.memo.get(&number).ok_or(format!("it asks for value {number}, which it never kept"))?;
            self.stack.push(*value);
        } else {
            let top = self.top()?;
            self.memo.insert(number, top);
        }
        Ok(())
    }

    /// Puts values into what is on the stack below them.
    fn fill(&mut self, opcode: u8) -> Result<(), String> {
        let (mut items, mut entries, mut states) = (Vec::new(), Vec::new(), Vec::new());
        match opcode {
            APPEND => items = vec![self.pop()?],
            APPENDS | ADDITEMS => items = self.since_mark()?,
            SETITEM => {
                let value = self.pop()?;
                entries = vec![(self.pop()?, value)];
            }
            SETITEMS => entries = self.pairs_since_mark()?,
            _ => states = vec![self.pop()?],
        }
        let top = self.top()?;
        match self.heap.node_mut(top) {
            Some(Node::Object(object)) => {
                object.items.append(&mut items);
                object.entries.append(&mut entries);
                object.states.append(&mut states);
            }
            Some(Node::List(list)) if matches!(opcode, APPEND | APPENDS | ADDITEMS) => list.append(&mut items),
            Some(Node::Dict(dict)) if matches!(opcode, SETITEM | SETITEMS) => dict.append(&mut entries),
            _ => return Err(format!("it fills a {} (opcode {opcode:#04x})", self.heap.kind(top))),
        }
        Ok(())
    }

    fn tuple(&mut self, opcode: u8) -> Result<Value, String> {
        let values = match opcode {
            TUPLE => self.since_mark()?,
            TUPLE1 => vec![self.pop()?],
            TUPLE2 => {
                let last = self.pop()?;
                vec![self.pop()?, last]
            }
            TUPLE3 => {
                let (last, middle) = (self.pop()?, self.pop()?);
                vec![self.pop()?, middle, last]
            }
            _ => Vec::new(),
        };
        Ok(self.heap.add(Node::Tuple(values)))
    }

    fn container(&mut self, opcode: u8) -> Result<Value, String> {
        let node = match opcode {
            LIST | FROZENSET => Node::List(self.since_mark()?),
            DICT => Node::Dict(self.pairs_since_mark()?),
            EMPTY_DICT => Node::Dict(Vec::new()),
            _ => Node::List(Vec::new()),
        };
        Ok(self.heap.add(node))
    }

    fn class(&mut self, opcode: u8) -> Result<Value, String> {
        let node = match opcode {
            GLOBAL => Node::Class(Value::Text(self.bytes.line()?), Value::Text(self.bytes.line()?)),
            STACK_GLOBAL => {
                let name = self.pop()?;
                Node::Class(self.pop()?, name)
            }
            // A class by its number in a registry of the program that wrote it.
            EXT1 => Node::Class(Value::None, Value::Int(self.bytes.byte()?.into())),
            EXT2 => Node::Class(Value::None, Value::Int(u16::from_le_bytes(self.bytes.array()?).into())),
            _ => Node::Class(Value::None, Value::Int(self.bytes.u32()?.into())),
        };
        Ok(self.heap.add(node))
    }

    fn object(&mut self, opcode: u8) -> Result<Value, String> {
        let (class, arguments) = match opcode {
            PERSID => {
                let id = Value::Text(self.bytes.line()?);
                return Ok(self.heap.add(Node::Outside(id)));
            }
            BINPERSID => {
                let id = self.pop()?;
                return Ok(self.heap.add(Node::Outside(id)));
            }
            INST => {
                let class = self.class(GLOBAL)?;
                (class, self.tuple(TUPLE)?)
            }
            OBJ => {
                let mut values = self.since_mark()?;
                if values.is_empty() {
                    return Err("an object in it has no class".into());
                }
                let arguments = values.split_off(1);
                (values[0], self.heap.add(Node::Tuple(arguments)))
            }
            NEWOBJ_EX => {
                // Arguments by name go where the others go: nobody asks for them.
                let named = self.pop()?;
                let arguments = self.pop()?;
                (self.pop()?, self.heap.add(Node::Tuple(vec![arguments, named])))
            }
            _ => {
                let arguments = self.pop()?;
                (self.pop()?, arguments)
            }
        };
        let is_new = matches!(opcode, NEWOBJ | NEWOBJ_EX);
        let (items, entries, states) = (Vec::new(), Vec::new(), Vec::new());
        Ok(self.heap.add(Node::Object(Box::new(Object { class, arguments, is_new, items, entries, states }))))
    }
}
