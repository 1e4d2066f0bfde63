#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use serde_json::json;

fn said(template: &str) -> String {
    let variables = json!({
        "a": {"b": "x", "n": 3, "f": 0.5, "flag": true, "list": [{"s": "one"}, {"s": "two", "t": [1]}]},
        "_inputs1": {"text": "<b>&é"},
    });
    let Value::Object(variables) = variables else { return String::new() };
    render(template, &Context::new(&variables))
}

#[test]
fn what_is_there_is_said_as_it_is() {
    assert_eq!(said("{{ a.b }}{{a.n}} {{ a.f }} {{ a.flag }}"), "x3 0.5 true");
    assert_eq!(said("{{ _inputs[1].text }}|{{ a[\"b\"] }}|{{ a.list[1].s }}"), "<b>&é|x|two");
    assert_eq!(said("no template { at all }"), "no template { at all }");
}

#[test]
fn what_is_not_there_is_empty_wherever_it_is_not() {
    assert_eq!(
        said("[{{ gone }}{{ gone.deep.er }}{{ a.gone }}{{ a.b.c }}{{ a.list[9].s }}]"),
        "[]"
    );
    assert_eq!(said("{% for x in gone %}never{% endfor %}."), ".");
    assert_eq!(
        said(
            "{% for x in a.list %}{{ x.s }}{{ x.gone }}{% for y in x.t %}{{ y.z }}{{ y }}{% endfor %},{% endfor %}"
        ),
        "one,two1,"
    );
    assert_eq!(
        said("{% if gone.x == 'y' %}1{% elsif gone contains 'z' %}2{% else %}3{% endif %}"),
        "3"
    );
    assert_eq!(said("{{ gone | default: 'd' }}{{ gone | upcase }}{{ gone | size }}"), "d0");
}

#[test]
fn both_spellings_are_understood() {
    assert_eq!(said("{% if a.b == 'q' %}1{% elif a.b == 'x' %}2{% endif %}"), "2");
    assert_eq!(
        said("{% for x in a.list %}{{ loop.index }}{{ forloop.index0 }}{% endfor %}"),
        "1021"
    );
    assert_eq!(said("{% raw %}{{ a.b }}{% elif %}{% endraw %}"), "{{ a.b }}{% elif %}");
    assert_eq!(said("a {{- a.b -}} c"), "axc");
}

#[test]
fn filters_of_ours_stand_beside_those_of_the_language() {
    assert_eq!(said("{{ a.list[1] | tojson }}"), r#"{"s":"two","t":[1]}"#);
    assert_eq!(said("{% assign d = '{\"k\": [1, 2]}' | todict %}{{ d.k[1] }}{{ d.gone }}"), "2");
    assert_eq!(
        said(
            "{{ 'a b&c' | urlencode }} {{ 'é' | escape_unicode }} {{ 5 | tostring | append: 'x' }}"
        ),
        "a+b%26c \\u00e9 5x"
    );
    assert_eq!(said("{{ a.list | map: 's' | join: '-' | upcase }}"), "ONE-TWO");
    assert_eq!(said("{{ a.list[1] }}"), r#"{"s":"two","t":[1]}"#);
}

#[test]
fn what_cannot_be_parsed_or_takes_too_long_is_left_as_it_is() {
    for template in [
        "{% if %}",
        "{{ a | no_such_filter }}",
        "{% for i in (1..1000000000) %}{% endfor %}{{ a.b }}",
        "{% for i in (1..1000) %}{% for j in (1..1000) %}{% endfor %}{% endfor %}",
        "{% for i in (1..a.n) %}{% endfor %}",
        "{% include 'x' %}",
        "{% unknown %}",
    ] {
        assert_eq!(said(template), template);
    }
    let deep = "{% if a %}".repeat(5_000);
    assert_eq!(said(&deep), deep);
    let brackets = format!("{{{{ a{} }}}}", "[a".repeat(5_000));
    assert_eq!(said(&brackets), brackets);
    let growing = format!(
        "{{% assign s = 'xxxxxxxx' %}}{}{{{{ s }}}}",
        "{% assign s = s | append: s %}".repeat(40)
    );
    assert_eq!(said(&growing), growing);
}

#[test]
fn strings_are_rendered_wherever_they_are_and_nothing_else_changes() {
    let value = json!({"a": ["{{ x }}", 1, true, null, {"b": "{{ x }}{{ y }}"}]});
    let context = Context::new(json!({"x": "1"}).as_object().unwrap());
    assert_eq!(hydrate(&value, &context), json!({"a": ["1", 1, true, null, {"b": "1"}]}));
}
