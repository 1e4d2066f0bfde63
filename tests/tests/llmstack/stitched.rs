//! Whoever puts the pieces of a stream together and renders the template gets what a blocking run answers, whatever the app.

use crate::room::{Room, made, pieces, put_together, run};
use annals_tests::{chance::Chance, model_server::Script};
use serde_json::{Value, json};

const STEPS: &[&str] = &["one", "two", "llm3"];
/// Parts of templates; `S` stands for a step.
const PARTS: &[&str] = &[
    "{{ S.output_str }}",
    "{{ S.output_str | upcase | truncate: 9 }}",
    "{{S.gone}}",
    "{{ _inputs0.word }}",
    "{{ _inputs1.output_str }}",
    "{{ _inputs[2].output_str | size }}",
    "{% if S.output_str contains 'a' %}A{% elif S.output_str %}B{% else %}C{% endif %}",
    "{% for w in S.words %}{{ w }}{% endfor %}",
    "{% assign ws = S.output_str | split: ' ' %}{% for w in ws %}{{ loop.index }}:{{ w }} {% endfor %}",
    "{{ S | to_json }}",
    "{{ S }}",
    "{% raw %}{{ S.output_str }}{% endraw %}",
    " {%- if _inputs0.n > 2 -%} many {%- endif -%} ",
    "plain é 😀 \n",
    "{{ nothing.at.all }}",
    "{{ S.output_str | replace: 'a', 'b' | strip }}",
    "{% capture x %}{{ S.output_str }}{% endcapture %}{{ x }}{{ x }}",
    "{{ S.output_str",
    "{% for x in %}",
];
const WORDS: &[&str] = &["a", "b c", "ä 😀 x", "", " ", "{{ one }}", "[1, 2]", "\"", "0"];

fn pick<'a>(chance: &mut Chance, all: &[&'a str]) -> &'a str {
    all[usize::try_from(chance.below(all.len() as u64)).unwrap()]
}

fn template(chance: &mut Chance) -> String {
    // Every sixth app has none.
    let parts = if chance.below(6) == 0 { 0 } else { 1 + chance.below(4) };
    (0..parts).map(|_| pick(chance, PARTS).replace('S', pick(chance, STEPS))).collect()
}

fn app(chance: &mut Chance) -> Value {
    let echo = |id: &str, input: String, stream: bool| {
        json!({"id": id, "provider_slug": "promptly", "processor_slug": "echo",
            "input": {"input_str": input, "stream": stream}})
    };
    let first = echo("one", "{{ _inputs0.word }} a".to_owned(), chance.below(2) == 0);
    let after = ["{{ one.output_str }}b", "{{ _inputs2.output_str }} {{ _inputs0.n }}", "c c"];
    let second = echo("two", pick(chance, &after).to_owned(), chance.below(2) == 0);
    let third = json!({"id": "llm3", "provider_slug": "promptly", "processor_slug": "llm",
        "input": {"input_message": "{{ two.output_str }}"}});
    json!({
        "name": "Any", "type_slug": "web", "draft": false,
        "output_template": {"markdown": template(chance)}, "processors": [second, first, third],
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn pieces_put_together_are_the_whole_answer() {
    let room = Room::open().await.unwrap();
    let mut chance = Chance::seeded();
    for _ in 0..60 {
        let deltas = usize::try_from(chance.below(12)).unwrap();
        room.model.follow(Script { deltas, ..Script::default() });
        let definition = app(&mut chance);
        let id = made(&room.ann, &definition).await.unwrap();
        let input = json!({"word": pick(&mut chance, WORDS), "n": chance.below(5)});
        let whole = run(&room.ann, &id, input.clone()).await.unwrap();
        let stream = pieces(&room.ann, &id, input.clone()).await.unwrap();
        let told = put_together(&stream).unwrap();
        assert_eq!(told, whole["output"], "{definition:#} on {input}: {stream:#?}");
    }
    room.close().await.unwrap();
}
