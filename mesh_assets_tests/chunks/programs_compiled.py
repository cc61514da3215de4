"""Small programs in compiled languages, with what they define."""

from __future__ import annotations

from mesh_assets_tests.chunks.programs import Defined, Program

PROGRAMS: dict[str, Program] = {
    "c": Program(
        """\
/* Lists of numbers. */
#include <stdio.h>
#include "list.h"

#define MAX_ITEMS 100

struct item {
    int value;
    struct item *next;
};

typedef enum {
    RED,
    GREEN,
} color_t;

int count(const struct item *first);

// Adds an item.
// At the end.
static struct item *
append(struct item *first, int value)
{
    struct item *made = malloc(sizeof *made);
    if (!made)
        return NULL;
    first->hook(made);
    return made;
}
""",
        ("<stdio.h>", "list.h"),
        {
            "MAX_ITEMS": Defined("constant", "#define MAX_ITEMS 100"),
            "item": Defined("struct", "struct item"),
            "color_t": Defined("enum", "typedef enum"),
            "count": Defined("function", "int count(const struct item *first)"),
            "append": Defined(
                "function",
                "static struct item * append(struct item *first, int value)",
                doc="Adds an item. At the end.",
                calls=("malloc", "first->hook"),
            ),
        },
    ),
    "cpp": Program(
        """\
#include <vector>
using namespace std;

namespace shop {

/// An order.
template <class T>
class Order : public Base, private Named<T> {
public:
    Order() : size_(1) {}
    virtual ~Order();

    int total() const override {
        auto sum = std::accumulate(items.begin(), items.end(), 0);
        return sum + tax<T>(sum);
    }

private:
    int size_;
};

}  // namespace shop

int shop::Order::count(int a) {
    return new Counter(a);
}
""",
        ("<vector>", "std"),
        {
            "shop": Defined("namespace", "namespace shop"),
            "shop.Order": Defined(
                "class",
                "template <class T> class Order : public Base, private Named<T>",
                doc="An order.",
                bases=("Base", "Named<T>"),
            ),
            "shop.Order.Order": Defined("method", "Order() : size_(1)"),
            "shop.Order.~Order": Defined("method", "virtual ~Order()"),
            "shop.Order.total": Defined(
                "method", "int total() const override", calls=("std::accumulate", "items.begin", "items.end", "tax<T>")
            ),
            "shop.Order.count": Defined("function", "int shop::Order::count(int a)", calls=("Counter",)),
        },
    ),
    "csharp": Program(
        """\
using System.Linq;

namespace Shop.Orders
{
    /// <summary>An order of a customer.</summary>
    [Serializable]
    public class Order<T> : Base, INamed where T : new()
    {
        public int Size { get; set; }

        public Order(int size)
        {
            Size = Check(size);
        }

        [Obsolete]
        public int Total(int tax)
        {
            return items.Sum(x => x.Price) + new Tax(tax).Value();
        }
    }

    public interface INamed
    {
        string Name();
    }
}
""",
        ("System.Linq",),
        {
            "Shop.Orders": Defined("namespace", "namespace Shop.Orders"),
            "Shop.Orders.Order": Defined(
                "class",
                "public class Order<T> : Base, INamed where T : new()",
                doc="An order of a customer.",
                bases=("Base", "INamed"),
            ),
            "Shop.Orders.Order.Size": Defined("property", "public int Size { get; set; }"),
            "Shop.Orders.Order.Order": Defined("constructor", "public Order(int size)", calls=("Check",)),
            "Shop.Orders.Order.Total": Defined(
                "method", "public int Total(int tax)", calls=("items.Sum", "Value", "Tax")
            ),
            "Shop.Orders.INamed": Defined("interface", "public interface INamed"),
            "Shop.Orders.INamed.Name": Defined("method", "string Name()"),
        },
    ),
    "go": Program(
        """\
// Package shop sells.
package shop

import (
	"fmt"
	m "math"
)

const Limit = 3

// Order is one.
type Order struct {
	Base
	Size int
}

type Named interface {
	Name() string
}

// Total adds up.
func (o *Order) Total(tax float64) (float64, error) {
	fmt.Println(o.Size)
	return m.Floor(tax), nil
}

func Run[T any](a T) {
	go work(a)
}
""",
        ("fmt", "math"),
        {
            "Limit": Defined("constant", "const Limit = 3"),
            "Order": Defined("struct", "type Order struct", doc="Order is one.", bases=("Base",)),
            "Named": Defined("interface", "type Named interface { Name() string }"),
            "Named.Name": Defined("method", "Name() string"),
            "Order.Total": Defined(
                "method",
                "func (o *Order) Total(tax float64) (float64, error)",
                doc="Total adds up.",
                calls=("fmt.Println", "m.Floor"),
            ),
            "Run": Defined("function", "func Run[T any](a T)", calls=("work",)),
        },
    ),
    "java": Program(
        """\
package a.b;
import java.util.*;
import static x.Y.z;

/**
 * Counts things.
 *
 * @author me
 */
@Ann(1)
public class A<T> extends B implements C, D {
    static final int X = 1;
    private int y;

    // makes it
    A() {
        super();
        init(1);
    }

    /** Does f. */
    @Override
    public int f(int a) {
        if (a > 1) {
            return this.g(a) + new Q().r;
        }
        list.stream().map(x -> foo(x)).collect();
        return 1;
    }

    enum E { P, Q }
}

interface I extends J { void m(); }
""",
        ("java.util", "x.Y.z"),
        {
            "A": Defined(
                "class", "public class A<T> extends B implements C, D", doc="Counts things.", bases=("B", "C", "D")
            ),
            "A.X": Defined("field", "static final int X = 1"),
            "A.y": Defined("field", "private int y"),
            "A.A": Defined("constructor", "A()", doc="makes it", calls=("init",)),
            "A.f": Defined(
                "method",
                "public int f(int a)",
                doc="Does f.",
                calls=("this.g", "Q", "list.stream", "map", "foo", "collect"),
            ),
            "A.E": Defined("enum", "enum E"),
            "I": Defined("interface", "interface I extends J", bases=("J",)),
            "I.m": Defined("method", "void m()"),
        },
    ),
    "kotlin": Program(
        """\
package shop

import kotlin.math.floor
import java.util.*

/** An order. */
@Serializable
open class Order(val size: Int) : Base(size), Named {
    val limit = 3

    companion object {
        fun make(): Order = Order(1)
    }

    fun total(tax: Int): Int {
        println(size)
        return items.sumOf { it.price } + floor(tax)
    }
}

interface Named {
    fun name(): String
}

fun String.shout() = uppercase()
""",
        ("kotlin.math.floor", "java.util"),
        {
            "Order": Defined(
                "class", "open class Order(val size: Int) : Base(size), Named", doc="An order.", bases=("Base", "Named")
            ),
            "Order.limit": Defined("property", "val limit = 3"),
            "Order.companion": Defined("object", "companion object"),
            "Order.companion.make": Defined("method", "fun make(): Order", calls=("Order",)),
            "Order.total": Defined("method", "fun total(tax: Int): Int", calls=("println", "items.sumOf", "floor")),
            "Named": Defined("interface", "interface Named"),
            "Named.name": Defined("method", "fun name(): String"),
            "shout": Defined("function", "fun String.shout()", calls=("uppercase",)),
        },
    ),
    "rust": Program(
        """\
//! Sells things.
use std::{collections::HashMap, fmt};

pub const LIMIT: usize = 3;

/// An order.
///
/// More about it.
#[derive(Debug)]
pub struct Order<T> {
    size: T,
}

impl<T> fmt::Display for Order<T> {
    /// Shows it.
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}", self.size())?;
        helper(1);
        Ok(())
    }
}

trait Named: Clone {
    fn name(&self) -> String;
}

mod tools {
    pub fn help() {
        super::run();
    }
}
""",
        ("std::{collections::HashMap, fmt}",),
        {
            "LIMIT": Defined("constant", "pub const LIMIT: usize = 3"),
            "Order": Defined("struct", "pub struct Order<T>", doc="An order."),
            "Order.fmt": Defined(
                "method",
                "fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result",
                doc="Shows it.",
                calls=("write", "helper", "Ok"),
            ),
            "Named": Defined("trait", "trait Named: Clone", bases=("Clone",)),
            "Named.name": Defined("method", "fn name(&self) -> String"),
            "tools": Defined("namespace", "mod tools"),
            "tools.help": Defined("function", "pub fn help()", calls=("super::run",)),
        },
    ),
    "scala": Program(
        """\
package shop

import scala.math.{floor, Pi}

/** An order. */
class Order[T](val size: Int) extends Base(size) with Named {
  val limit = 3

  def total(tax: Int): Int = {
    println(size)
    items.map(price) + new Tax(tax)
  }
}

object Order {
  def make(): Order = new Order(1)
}

trait Named {
  def name: String
}
""",
        ("scala.math.{floor, Pi}",),
        {
            "Order": Defined(
                "class",
                "class Order[T](val size: Int) extends Base(size) with Named",
                doc="An order.",
                bases=("Base", "Named"),
            ),
            "Order.limit": Defined("property", "val limit = 3"),
            "Order.total": Defined("method", "def total(tax: Int): Int", calls=("println", "items.map", "Tax")),
            "Order.make": Defined("method", "def make(): Order", calls=("Order",)),
            "Named": Defined("trait", "trait Named"),
            "Named.name": Defined("method", "def name: String"),
        },
    ),
    "swift": Program(
        """\
import Foundation

/// An order.
@objc public class Order: Base, Named {
    var size = 1

    init(size: Int) {
        self.size = check(size)
    }

    func total(_ tax: Int) -> Int {
        items.forEach { print($0) }
        return add(tax)
    }
}

extension Order: Codable {
    func more() {
        run()
    }
}

struct Point {
    let x: Int
}
""",
        ("Foundation",),
        {
            "Order": Defined("class", "public class Order: Base, Named", doc="An order.", bases=("Base", "Named")),
            "Order.size": Defined("property", "var size = 1"),
            "Order.init": Defined("constructor", "init(size: Int)", calls=("check",)),
            "Order.total": Defined("method", "func total(_ tax: Int) -> Int", calls=("items.forEach", "print", "add")),
            "Order.more": Defined("method", "func more()", calls=("run",)),
            "Point": Defined("struct", "struct Point"),
            "Point.x": Defined("property", "let x: Int"),
        },
    ),
}
