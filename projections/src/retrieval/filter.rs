//! Conditions on documents' metadata, applied where passages are searched and never to what a search has found.

pub use domain::document::{Comparison, Filter};

/// Stands for the number of the parameter that holds the keys, and for that of the values.
const BOUND: [&str; 2] = ["{keys}", "{values}"];

/// A filter as a part of a statement: constants of ours, and the numbers of what is bound.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Compiled {
    /// A condition on `s.metadata` that names elements of both parameters.
    sql: String,
    /// To be bound.
    pub keys: Vec<String>,
    /// To be bound.
    pub values: Vec<String>,
}

impl Compiled {
    pub fn new(filter: &Filter) -> Self {
        let mut compiled = Self::default();
        compiled.sql = compiled.condition(filter);
        compiled
    }

    /// The condition in a statement that binds keys and values as these parameters.
    pub fn sql(&self, keys: usize, values: usize) -> String {
        let numbered = self.sql.replace(BOUND[0], &format!("${keys}"));
        numbered.replace(BOUND[1], &format!("${values}"))
    }

    fn condition(&mut self, filter: &Filter) -> String {
        let (filters, word, empty) = match filter {
            Filter::All(filters) => (filters, " and ", "true"),
            Filter::Any(filters) => (filters, " or ", "false"),
            Filter::Test { key, comparison, value } => return self.test(key, *comparison, value),
        };
        let parts: Vec<String> = filters.iter().map(|filter| self.condition(filter)).collect();
        if parts.is_empty() { empty.to_owned() } else { format!("({})", parts.join(word)) }
    }

    fn test(&mut self, key: &str, comparison: Comparison, value: &str) -> String {
        // Neither parameters nor metadata hold NUL.
        self.keys.push(key.replace('\0', "\u{fffd}"));
        self.values.push(value.replace('\0', "\u{fffd}"));
        let nth = self.keys.len();
        let [keys, values] = BOUND;
        let held = format!("(s.metadata ->> ({keys}::text[])[{nth}])");
        let wanted = format!("({values}::text[])[{nth}]");
        let sign = match comparison {
            Comparison::Equal => "=",
            Comparison::Greater => ">",
            Comparison::Less => "<",
            Comparison::Contains => {
                return format!("coalesce(strpos(lower({held}), lower({wanted})) > 0, false)");
            }
        };
        // Numbers that no numeric holds would be errors, not answers.
        let number = r"'^[+-]?\d{1,100}(\.\d{1,100})?$'";
        format!(
            "coalesce(case when {held} ~ {number} and {wanted} ~ {number}
                then {held}::numeric {sign} {wanted}::numeric
                else {held} collate \"C\" {sign} {wanted} collate \"C\" end, false)"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_values_are_bound_and_never_spelled() {
        let test = |key: &str| Filter::Test {
            key: key.to_owned(),
            comparison: Comparison::Contains,
            value: "'; drop table passages".to_owned(),
        };
        let filter = Filter::All(vec![test("a'"), Filter::Any(vec![test("b"), test("c")])]);
        let compiled = Compiled::new(&filter);
        assert_eq!(compiled.keys, ["a'", "b", "c"]);
        let sql = compiled.sql(9, 10);
        assert!(!sql.contains("drop") && !sql.contains("a'") && !sql.contains('{'));
        assert!(sql.contains("($9::text[])[3]") && sql.contains("($10::text[])[3]"));
        assert!(sql.contains(" or "));
    }

    #[test]
    fn nothing_to_fulfil_is_true_and_nothing_to_choose_is_false() {
        assert_eq!(Compiled::new(&Filter::All(vec![])).sql, "true");
        assert_eq!(Compiled::new(&Filter::Any(vec![])).sql, "false");
    }
}
