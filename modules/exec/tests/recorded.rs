//! Execution functions that only need data, against answers recorded from Salt 3008.3.

use corpus_core::value::{Map, Value};
use corpus_core::{Call, Data, ExecFn};
use serde_json::Value as Json;

/// Reads the recording's form: `{"map": [[key, value]…]}` and `{"list": […]}` keep keys that are no texts.
fn read(json: &Json) -> Value {
    match json {
        Json::Object(o) => match (o.get("map"), o.get("list")) {
            (Some(Json::Array(pairs)), _) => {
                Value::from(pairs.iter().map(|p| (read(&p[0]), read(&p[1]))).collect::<Map>())
            }
            (_, Some(Json::Array(items))) => Value::from(items.iter().map(read).collect::<Vec<_>>()),
            _ => panic!("not a recorded value: {json}"),
        },
        scalar => serde_json::from_value(scalar.clone()).expect("a scalar"),
    }
}

#[test]
fn answers_are_salts() {
    let recorded: Json = serde_json::from_str(include_str!("recorded.json")).unwrap();
    let data = Data {
        grains: read(&recorded["grains"]),
        pillar: read(&recorded["pillar"]),
        opts: read(&recorded["opts"]),
        ..Data::default()
    };
    let mut wrong = vec![];
    for case in recorded["cases"].as_array().unwrap() {
        let fun = case["fun"].as_str().unwrap();
        let def = corpus_exec::all().into_iter().find(|d| d.name == fun).unwrap();
        let ExecFn::Data(run) = def.run else { panic!("{fun} is answered from data") };
        let call = Call {
            fun: fun.into(),
            args: read(&case["args"]).as_list().unwrap().to_vec(),
            kwargs: read(&case["kwargs"]).as_map().unwrap().clone(),
        };
        let fine = match (run(&call, &data), case.get("returns")) {
            (Ok(seen), Some(expected)) => {
                // As Python writes them, so that 1 and True, and the order of keys, count.
                corpus_core::python::repr(&seen) == corpus_core::python::repr(&read(expected))
            }
            (Err(error), None) => error.to_string() == case["fails"].as_str().unwrap(),
            _ => false,
        };
        if !fine {
            wrong.push(format!("{case}\n   answered {:?}", run(&call, &data).map(|v| corpus_core::python::repr(&v))));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
