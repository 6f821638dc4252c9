//! `resource.Quantity`. Upstream: k8s.io/apiserver/pkg/cel/library/quantity.go.

use std::cmp::Ordering;
use std::sync::Arc;

use api::quantity::{Format, Quantity};

use super::{Outcome, Row, no_overload};
use crate::eval::Failure;
use crate::value::Value;

pub(super) const ROWS: &[Row] = &[
    ("string_to_quantity", "quantity(string) -> kubernetes.Quantity", read),
    ("is_quantity_string", "isQuantity(string) -> bool", is_quantity),
    ("quantity_sign", "sign(kubernetes.Quantity) -> int", sign),
    ("quantity_is_greater_than", "(kubernetes.Quantity).isGreaterThan(kubernetes.Quantity) -> bool", |args| {
        compared(args, |order| Value::Bool(order.is_gt()))
    }),
    ("quantity_is_less_than", "(kubernetes.Quantity).isLessThan(kubernetes.Quantity) -> bool", |args| {
        compared(args, |order| Value::Bool(order.is_lt()))
    }),
    ("quantity_compare_to", "(kubernetes.Quantity).compareTo(kubernetes.Quantity) -> int", |args| {
        compared(args, |order| Value::Int(order as i64))
    }),
    ("quantity_get_float", "(kubernetes.Quantity).asApproximateFloat() -> double", as_float),
    ("quantity_get_int", "(kubernetes.Quantity).asInteger() -> int", as_integer),
    ("quantity_is_integer", "(kubernetes.Quantity).isInteger() -> bool", is_integer),
    ("quantity_add", "(kubernetes.Quantity).add(kubernetes.Quantity) -> kubernetes.Quantity", |args| {
        combined(args, Quantity::add)
    }),
    ("quantity_add_int", "(kubernetes.Quantity).add(int) -> kubernetes.Quantity", |args| combined(args, Quantity::add)),
    ("quantity_sub", "(kubernetes.Quantity).sub(kubernetes.Quantity) -> kubernetes.Quantity", |args| {
        combined(args, Quantity::sub)
    }),
    ("quantity_sub_int", "(kubernetes.Quantity).sub(int) -> kubernetes.Quantity", |args| combined(args, Quantity::sub)),
];

fn read<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let [Value::String(text)] = args else { return no_overload() };
    let quantity = Quantity::parse(text).map_err(|why| Failure::message(why.to_string()))?;
    Ok(Value::Quantity(Arc::new(quantity)))
}

fn is_quantity<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let [Value::String(text)] = args else { return no_overload() };
    Ok(Value::Bool(Quantity::parse(text).is_ok()))
}

fn sign<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let [Value::Quantity(quantity)] = args else { return no_overload() };
    Ok(Value::Int(quantity.sign().into()))
}

fn compared<'a>(args: &[Value<'a>], result: fn(Ordering) -> Value<'static>) -> Outcome<'a> {
    let [Value::Quantity(left), Value::Quantity(right)] = args else { return no_overload() };
    Ok(result((**left).cmp(&**right)))
}

fn as_float<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let [Value::Quantity(quantity)] = args else { return no_overload() };
    Ok(Value::Double(quantity.to_f64()))
}

fn as_integer<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let [Value::Quantity(quantity)] = args else { return no_overload() };
    quantity.as_i64().map(Value::Int).ok_or_else(|| Failure::message("cannot convert value to integer"))
}

fn is_integer<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let [Value::Quantity(quantity)] = args else { return no_overload() };
    Ok(Value::Bool(quantity.as_i64().is_some()))
}

fn combined<'a>(args: &[Value<'a>], combine: fn(&mut Quantity, &Quantity)) -> Outcome<'a> {
    let (mut left, right) = match args {
        [Value::Quantity(left), Value::Quantity(right)] => ((**left).clone(), (**right).clone()),
        [Value::Quantity(left), Value::Int(right)] => ((**left).clone(), Quantity::new(*right, Format::DecimalSI)),
        _ => return no_overload(),
    };
    combine(&mut left, &right);
    Ok(Value::Quantity(Arc::new(left)))
}
