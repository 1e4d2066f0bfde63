//! What makes the language forgiving: whatever is undefined, at whatever depth, is nothing.

use super::{json, limits};
use liquid_core::{
    BlockReflection, Error, Language, ParseBlock, ParseTag, Renderable, Result, Runtime, TagBlock,
    TagReflection, TagTokenIter, ValueView,
    model::{
        ArrayView, DisplayCow, KString, KStringCow, KStringRef, ScalarCow, State, Value, ValueCow,
    },
    parser::FilterChain,
    runtime::{PartialStore, Registers},
};
use std::{collections::BTreeSet, fmt, io::Write};

/// A runtime in which everything exists, within a budget.
pub(super) struct Lenient<'a>(pub &'a dyn Runtime);

impl Runtime for Lenient<'_> {
    fn partials(&self) -> &dyn PartialStore {
        self.0.partials()
    }

    fn name(&self) -> Option<KStringRef<'_>> {
        self.0.name()
    }

    fn roots(&self) -> BTreeSet<KStringCow<'_>> {
        self.0.roots()
    }

    fn try_get(&self, path: &[ScalarCow<'_>]) -> Option<ValueCow<'_>> {
        self.0.try_get(path)
    }

    fn get(&self, path: &[ScalarCow<'_>]) -> Result<ValueCow<'_>> {
        let value = self.0.try_get(path).unwrap_or(ValueCow::Borrowed(&Nothing));
        match limits::spend(self.0, value.as_view()) {
            true => Ok(value),
            false => Err(Error::with_msg("the template works for too long")),
        }
    }

    fn set_global(&self, name: KString, value: Value) -> Option<Value> {
        self.0.set_global(name, value)
    }

    fn set_index(&self, name: KString, value: Value) -> Option<Value> {
        self.0.set_index(name, value)
    }

    fn get_index<'a>(&'a self, name: &str) -> Option<ValueCow<'a>> {
        self.0.get_index(name)
    }

    fn registers(&self) -> &Registers {
        self.0.registers()
    }
}

/// A block or tag of the language, in the lenient runtime.
#[derive(Clone)]
pub(super) struct Soft<T>(pub T);

struct SoftPart(Box<dyn Renderable>);

impl fmt::Debug for SoftPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Renderable for SoftPart {
    fn render_to(&self, writer: &mut dyn Write, runtime: &dyn Runtime) -> Result<()> {
        self.0.render_to(writer, &Lenient(runtime))
    }
}

impl<T: ParseBlock + Clone + 'static> ParseBlock for Soft<T> {
    fn parse(
        &self,
        arguments: TagTokenIter<'_>,
        block: TagBlock<'_, '_>,
        options: &Language,
    ) -> Result<Box<dyn Renderable>> {
        Ok(Box::new(SoftPart(self.0.parse(arguments, block, options)?)))
    }

    fn reflection(&self) -> &dyn BlockReflection {
        self.0.reflection()
    }
}

impl<T: ParseTag + Clone + 'static> ParseTag for Soft<T> {
    fn parse(
        &self,
        arguments: TagTokenIter<'_>,
        options: &Language,
    ) -> Result<Box<dyn Renderable>> {
        Ok(Box::new(SoftPart(self.0.parse(arguments, options)?)))
    }

    fn reflection(&self) -> &dyn TagReflection {
        self.0.reflection()
    }
}

/// `{{ … }}`, as a tag: an expression that is said.
#[derive(Debug, Clone)]
pub(super) struct Said;

#[derive(Debug)]
struct Saying(FilterChain);

impl TagReflection for Said {
    fn tag(&self) -> &str {
        super::spelling::SAY
    }

    fn description(&self) -> &str {
        ""
    }
}

impl ParseTag for Said {
    fn parse(
        &self,
        mut arguments: TagTokenIter<'_>,
        options: &Language,
    ) -> Result<Box<dyn Renderable>> {
        let next = arguments.expect_next("an expression expected")?;
        let expression = next.expect_filter_chain(options).into_result()?;
        arguments.expect_nothing()?;
        Ok(Box::new(Saying(expression)))
    }

    fn reflection(&self) -> &dyn TagReflection {
        self
    }
}

impl Renderable for Saying {
    fn render_to(&self, writer: &mut dyn Write, runtime: &dyn Runtime) -> Result<()> {
        let runtime = Lenient(runtime);
        let value = self.0.evaluate(&runtime)?;
        // An object has no text of its own.
        let written = match value.as_object() {
            Some(_) => write!(writer, "{}", json(value.as_view())),
            None => write!(writer, "{}", value.render()),
        };
        written.map_err(|error| Error::with_msg(error.to_string()))
    }
}

/// What is undefined: nil, and a list of nothing for those who look into it.
#[derive(Debug)]
struct Nothing;

impl ValueView for Nothing {
    fn as_debug(&self) -> &dyn fmt::Debug {
        self
    }

    fn render(&self) -> DisplayCow<'_> {
        DisplayCow::Owned(Box::new(""))
    }

    fn source(&self) -> DisplayCow<'_> {
        DisplayCow::Owned(Box::new("nil"))
    }

    fn type_name(&self) -> &'static str {
        "nil"
    }

    fn query_state(&self, state: State) -> bool {
        match state {
            State::Truthy => false,
            State::DefaultValue | State::Empty | State::Blank => true,
        }
    }

    fn to_kstr(&self) -> KStringCow<'_> {
        KStringCow::from_static("")
    }

    fn to_value(&self) -> Value {
        Value::Nil
    }

    fn as_array(&self) -> Option<&dyn ArrayView> {
        Some(self)
    }

    fn is_nil(&self) -> bool {
        true
    }
}

impl ArrayView for Nothing {
    fn as_value(&self) -> &dyn ValueView {
        self
    }

    fn size(&self) -> i64 {
        0
    }

    fn values<'k>(&'k self) -> Box<dyn Iterator<Item = &'k dyn ValueView> + 'k> {
        Box::new(std::iter::empty())
    }

    fn contains_key(&self, _: i64) -> bool {
        false
    }

    fn get(&self, _: i64) -> Option<&dyn ValueView> {
        None
    }
}
