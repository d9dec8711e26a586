//! `test.*`: is anybody there, and what arrives there?

use corpus_core::value::{Map, Value};
use corpus_core::{Call, Data, ExecDef, ExecError, ExecFn, Look, python};
use std::time::{Duration, Instant};

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    ExecDef { name: "test.ping", args: "()", doc: "Returns `True`: the minion answers.", run: ExecFn::Read(ping) },
    ExecDef { name: "test.echo", args: "(text)", doc: "Returns its argument.", run: ExecFn::Read(echo) },
    ExecDef { name: "test.outputter", args: "(data)", doc: "Returns its argument.", run: ExecFn::Read(echo) },
    ExecDef { name: "test.true", args: "()", doc: "Returns `True`.", run: ExecFn::Read(ping) },
    ExecDef { name: "test.true_", args: "()", doc: "Returns `True`.", run: ExecFn::Read(ping) },
    ExecDef { name: "test.false", args: "()", doc: "Returns `False`.", run: ExecFn::Read(false_) },
    ExecDef { name: "test.false_", args: "()", doc: "Returns `False`.", run: ExecFn::Read(false_) },
    ExecDef {
        name: "test.version",
        args: "()",
        doc: "Returns the Salt version that this behaves like.",
        run: ExecFn::Read(version),
    },
    ExecDef { name: "test.arg", args: "(*args, **kwargs)", doc: "Returns all arguments.", run: ExecFn::Read(arg) },
    ExecDef { name: "test.kwarg", args: "(**kwargs)", doc: "Returns the named arguments.", run: ExecFn::Read(kwarg) },
    ExecDef {
        name: "test.arg_type",
        args: "(*args, **kwargs)",
        doc: "Returns the types of all arguments.",
        run: ExecFn::Read(arg_type),
    },
    ExecDef {
        name: "test.arg_repr",
        args: "(*args, **kwargs)",
        doc: "Returns all arguments as Python writes them.",
        run: ExecFn::Read(arg_repr),
    },
    ExecDef { name: "test.sleep", args: "(length)", doc: "Waits so many seconds.", run: ExecFn::Read(sleep) },
    ExecDef {
        name: "test.fib",
        args: "(num)",
        doc: "Returns a Fibonacci number, and the time it took.",
        run: ExecFn::Read(fib),
    },
    ExecDef {
        name: "test.collatz",
        args: "(start)",
        doc: "Returns the Collatz steps, and the time they took.",
        run: ExecFn::Read(collatz),
    },
    ExecDef {
        name: "test.provider",
        args: "(module)",
        doc: "Returns the name of the Salt module that a virtual module stands for on this system.",
        run: ExecFn::Data(provider),
    },
    ExecDef {
        name: "test.get_opts",
        args: "()",
        doc: "Returns the minion's configuration.",
        run: ExecFn::Data(get_opts),
    },
    ExecDef {
        name: "test.random_hash",
        args: "(size=9999999999, hash_type='sha256')",
        doc: "Returns the digest of a random number.",
        run: ExecFn::Data(random_hash),
    },
    ExecDef {
        name: "test.rand_str",
        args: "(size=9999999999, hash_type='sha256')",
        doc: "Is `test.random_hash`.",
        run: ExecFn::Data(random_hash),
    },
    ExecDef {
        name: "test.exception",
        args: "(message='Test Exception')",
        doc: "Fails with the message.",
        run: ExecFn::Read(exception),
    },
    ExecDef {
        name: "test.assertion",
        args: "(assertion)",
        doc: "Fails unless its argument holds.",
        run: ExecFn::Read(assertion),
    },
];

fn ping(_: &Call, _: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    Ok(true.into())
}

fn false_(_: &Call, _: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    Ok(false.into())
}

fn echo(call: &Call, _: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    call.args.first().or_else(|| call.kwargs.values().next()).cloned().ok_or_else(|| call.missing("text"))
}

fn version(_: &Call, _: &dyn Look, data: &Data) -> Result<Value, ExecError> {
    let (major, minor) = crate::grains::SALT_VERSION;
    Ok(data.grains.get("saltversion").cloned().unwrap_or_else(|| format!("{major}.{minor}").into()))
}

/// The arguments that a person gave: Salt's own begin with `__`.
fn given(call: &Call) -> Map {
    let own = |key: &Value| key.as_str().is_some_and(|k| k.starts_with("__pub_"));
    call.kwargs.iter().filter(|(k, _)| !own(k)).map(|(k, v)| (k.clone(), v.clone())).collect()
}

fn arg(call: &Call, _: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    let entries = [("args", Value::from(call.args.clone())), ("kwargs", given(call).into())];
    Ok(entries.into_iter().collect::<Map>().into())
}

fn kwarg(call: &Call, _: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    Ok(given(call).into())
}

fn arg_type(call: &Call, _: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    let name = |v: &Value| Value::from(format!("<class '{}'>", v.type_name()));
    let kwargs: Map = given(call).iter().map(|(k, v)| (k.clone(), name(v))).collect();
    let args: Vec<Value> = call.args.iter().map(name).collect();
    Ok([("args", Value::from(args)), ("kwargs", kwargs.into())].into_iter().collect::<Map>().into())
}

fn arg_repr(call: &Call, _: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    let args: Vec<String> = call.args.iter().map(python::repr).collect();
    let comma = if args.len() == 1 { "," } else { "" };
    let entries = [("args", format!("({}{comma})", args.join(", "))), ("kwargs", python::repr(&given(call).into()))];
    Ok(entries.into_iter().collect::<Map>().into())
}

fn number(call: &Call, name: &str) -> Result<i64, ExecError> {
    call.need(0, name)?.parse().map_err(|_| call.invalid(name, "must be a whole number"))
}

fn sleep(call: &Call, _: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    let seconds = u64::try_from(number(call, "length")?).map_err(|_| call.invalid("length", "must not be negative"))?;
    std::thread::sleep(Duration::from_secs(seconds));
    Ok(true.into())
}

fn fib(call: &Call, _: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    let start = Instant::now();
    let n = number(call, "num")?;
    if n < 0 {
        return Err(ExecError::failed("Negative number is not allowed!"));
    }
    let (mut previous, mut current) = (1i64, 0i64);
    for _ in 0..n {
        let next =
            previous.checked_add(current).ok_or_else(|| call.invalid("num", "the result has more than 64 bits"))?;
        (previous, current) = (current, next);
    }
    Ok(vec![Value::from(current), start.elapsed().as_secs_f64().into()].into())
}

fn collatz(call: &Call, _: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    let started = Instant::now();
    let mut n = number(call, "start")?;
    if n < 1 {
        return Err(call.invalid("start", "must be above 0"));
    }
    let mut steps = vec![];
    while n != 1 {
        steps.push(Value::from(n));
        let next = if n % 2 == 0 { Some(n / 2) } else { n.checked_mul(3).and_then(|n| n.checked_add(1)) };
        n = next.ok_or_else(|| call.invalid("start", "a step has more than 64 bits"))?;
    }
    Ok(vec![Value::from(steps), started.elapsed().as_secs_f64().into()].into())
}

fn get_opts(_: &Call, data: &Data) -> Result<Value, ExecError> {
    Ok(data.opts.clone())
}

fn random_hash(call: &Call, _: &Data) -> Result<Value, ExecError> {
    let algorithm = call.text(1, "hash_type").unwrap_or_else(|| "sha256".into());
    let found = super::hashutil::hash(&algorithm, super::random::letters(32).as_bytes());
    found.map(Value::from).ok_or_else(|| call.invalid("hash_type", format!("`{algorithm}` is not known")))
}

fn exception(call: &Call, _: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    Err(ExecError::failed(call.text(0, "message").unwrap_or_else(|| "Test Exception".into())))
}

fn assertion(call: &Call, _: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    if call.flag(0, "assertion", false) { Ok(Value::Null) } else { Err(ExecError::failed("AssertionError")) }
}

/// Salt's file for a virtual module; what has no other name is its own.
fn provider(call: &Call, data: &Data) -> Result<Value, ExecError> {
    let module = call.need(0, "module")?;
    let grain = |name: &str| data.grains.get(name).map(python::str).unwrap_or_default();
    let family = grain("os_family");
    let found = match (&*module, &*family) {
        ("pkg", "Debian") => "aptpkg",
        ("pkg", "RedHat") => "yumpkg",
        ("pkg", "Suse") => "zypperpkg",
        ("pkg", "Arch") => "pacmanpkg",
        ("pkg", "Alpine") => "apkpkg",
        ("lowpkg", "Debian") => "dpkg_lowpkg",
        ("lowpkg", "RedHat" | "Suse") => "rpm_lowpkg",
        ("service", _) if grain("init") == "systemd" => "systemd_service",
        ("service", "Debian") => "debian_service",
        ("service", "RedHat") => "rh_service",
        ("service", "Alpine") => "gentoo_service",
        ("user", _) => "useradd",
        ("group", _) => "groupadd",
        ("shadow", _) => "linux_shadow",
        ("sysctl", _) => "linux_sysctl",
        ("lvm", _) => "linux_lvm",
        ("ip", "Debian") => "debian_ip",
        ("ip", "RedHat") => "rh_ip",
        ("random", _) => "mod_random",
        ("sys", _) => "sysmod",
        ("cmd", _) => "cmdmod",
        _ => return Ok(module.into()),
    };
    Ok(found.into())
}
