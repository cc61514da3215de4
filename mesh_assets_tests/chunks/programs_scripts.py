"""Small programs in scripts, queries and styles, with what they define."""

from __future__ import annotations

from mesh_assets_tests.chunks.programs import Defined, Program

PROGRAMS: dict[str, Program] = {
    "css": Program(
        """\
@import url("base.css");

/* The head of the page. */
.head,
#top > a:hover {
  color: red;
}

@media (max-width: 600px) {
  .small {
    display: none;
  }
}

@keyframes spin {
  from { top: 0; }
}
""",
        ('url("base.css")',),
        {
            ".head, #top > a:hover": Defined("rule", ".head, #top > a:hover", doc="The head of the page."),
            ".small": Defined("rule", ".small"),
            "spin": Defined("rule", "@keyframes spin"),
        },
    ),
    "haskell": Program(
        """\
module Shop.Order (total) where

import qualified Data.Map as M
import Data.List (sort)

-- | Adds up.
total :: Int -> Int
total 0 = zero 1
total n =
  add (n + 1)

data Order = Order
  { size :: Int
  } deriving (Show)

class Named a where
  name :: a -> String

instance Named Order where
  name order = show order
""",
        ("Data.Map", "Data.List"),
        {
            "total": Defined("function", "total :: Int -> Int", doc="Adds up.", calls=("zero", "add")),
            "Order": Defined("type", "data Order = Order { size :: Int } deriving (Show)"),
            "Named": Defined("class", "class Named a"),
            "Named.name": Defined("method", "name :: a -> String"),
        },
    ),
    "javascript": Program(
        """\
import fs, { join } from "fs";
const path = require("path");

export const LIMIT = 3;

/**
 * Greets people.
 * @param {string} name who
 */
export default class Greeter extends Base {
  count = 0;

  constructor(name) {
    super(name);
    this.name = name;
  }

  static async greet(names = []) {
    for (const name of names) {
      await this.say(join("hello", name));
    }
  }
}

// Adds two numbers.
export const add = (a, b) => {
  log(a);
  return new Sum(a, b).value();
};

function outer() {
  function inner() {
    return 1;
  }
  return inner();
}

module.exports.run = function (argv) {
  return <App name={argv} />;
};
""",
        ("fs", "path"),
        {
            "LIMIT": Defined("constant", "export const LIMIT = 3"),
            "Greeter": Defined(
                "class", "export default class Greeter extends Base", doc="Greets people.", bases=("Base",)
            ),
            "Greeter.constructor": Defined("method", "constructor(name)"),
            "Greeter.greet": Defined("method", "static async greet(names = [])", calls=("this.say", "join")),
            "add": Defined(
                "function", "export const add = (a, b) =>", doc="Adds two numbers.", calls=("log", "value", "Sum")
            ),
            "outer": Defined("function", "function outer()", calls=("inner",)),
            "outer.inner": Defined("function", "function inner()"),
            "module.exports.run": Defined("function", "module.exports.run = function (argv)"),
        },
    ),
    "julia": Program(
        '''\
module Shop

using LinearAlgebra
import Base: show

const LIMIT = 3

"""
    total(tax)

Adds up.
"""
function total(tax::Int)::Int
    println(tax)
    return Base.sum(tax)
end

area(x) = x * pi

struct Order{T} <: Thing
    size::T
end

end
''',
        ("LinearAlgebra", "Base: show"),
        {
            "Shop": Defined("namespace", "module Shop"),
            "Shop.LIMIT": Defined("constant", "const LIMIT = 3"),
            "Shop.total": Defined(
                "function", "function total(tax::Int)::Int", doc="Adds up.", calls=("println", "Base.sum")
            ),
            "Shop.area": Defined("function", "area(x) = x * pi"),
            "Shop.Order": Defined("struct", "struct Order{T} <: Thing", bases=("Thing",)),
        },
    ),
    "lua": Program(
        """\
local json = require("json")
LIMIT = 3

-- Adds two numbers.
local function add(a, b)
  log(a)
  return a + b
end

function Order.make(size)
  return setmetatable({}, Order)
end

function Order:total(tax)
  return self:sum(tax)
end

Order.run = function(a)
  json.encode(a)
end
""",
        ("json",),
        {
            "add": Defined("function", "local function add(a, b)", doc="Adds two numbers.", calls=("log",)),
            "Order.make": Defined("function", "function Order.make(size)", calls=("setmetatable",)),
            "Order.total": Defined("function", "function Order:total(tax)", calls=("self:sum",)),
            "Order.run": Defined("function", "Order.run = function(a)", calls=("json.encode",)),
        },
    ),
    "php": Program(
        """\
<?php
namespace Shop\\Orders;

use Base\\Thing as Other;

/**
 * An order.
 */
#[Entity]
final class Order extends Thing implements Named, Counted
{
    use Loud;
    const LIMIT = 3;
    private int $size = 1;

    public function total(int $tax): int
    {
        $this->check($tax);
        Tax::of($tax);
        return add($tax) + new Sum();
    }
}

interface Named extends Thing
{
    function name();
}

function run()
{
    return 1;
}
""",
        ("Base\\Thing",),
        {
            "Order": Defined(
                "class",
                "final class Order extends Thing implements Named, Counted",
                doc="An order.",
                bases=("Thing", "Named", "Counted", "Loud"),
            ),
            "Order.LIMIT": Defined("constant", "const LIMIT = 3"),
            "Order.$size": Defined("property", "private int $size = 1"),
            "Order.total": Defined(
                "method", "public function total(int $tax): int", calls=("$this->check", "Tax::of", "add", "Sum")
            ),
            "Named": Defined("interface", "interface Named extends Thing", bases=("Thing",)),
            "Named.name": Defined("method", "function name()"),
            "run": Defined("function", "function run()"),
        },
    ),
    "python": Program(
        '''\
"""Sells things.

More."""
import os.path as p
from .base import Thing as T, Other

LIMIT = 3


@cached(1)
async def total(tax: int) -> int:
    """Adds up.

    More about it.
    """
    import json
    return json.loads(tax) + add(tax)


# Orders.
class Order(T, metaclass=Meta):
    size = 1

    def run(self):
        def inner():
            pass
        self.total(inner)
''',
        ("os.path", ".base.Thing", ".base.Other", "json"),
        {
            "LIMIT": Defined("constant", "LIMIT = 3"),
            "total": Defined(
                "function", "async def total(tax: int) -> int", doc="Adds up.", calls=("cached", "json.loads", "add")
            ),
            "Order": Defined("class", "class Order(T, metaclass=Meta)", doc="Orders.", bases=("T",)),
            "Order.run": Defined("method", "def run(self)", calls=("self.total",)),
            "Order.run.inner": Defined("function", "def inner()"),
        },
    ),
    "ruby": Program(
        """\
require "json"
require_relative "base"

module Shop
  # An order.
  class Order < Base::Thing
    include Named
    LIMIT = 3

    def initialize(size)
      @size = check(size)
    end

    # Adds up.
    def total(tax = 1)
      items.each { |item| item.price }
      add(tax)
    end

    def self.make
      new(1)
    end
  end
end
""",
        ("json", "base"),
        {
            "Shop": Defined("namespace", "module Shop"),
            "Shop.Order": Defined(
                "class",
                "class Order < Base::Thing",
                doc="An order.",
                calls=("include",),
                bases=("Base::Thing", "Named"),
            ),
            "Shop.Order.LIMIT": Defined("constant", "LIMIT = 3"),
            "Shop.Order.initialize": Defined("method", "def initialize(size)", calls=("check",)),
            "Shop.Order.total": Defined(
                "method", "def total(tax = 1)", doc="Adds up.", calls=("items.each", "item.price", "add")
            ),
            "Shop.Order.make": Defined("method", "def self.make", calls=("new",)),
        },
    ),
    "shell": Program(
        """\
#!/bin/bash
# Builds everything.
set -e
source ./common.sh
OUT=build

# Compiles one file.
compile() {
  local file=$1
  if [ -f "$file" ]; then
    gcc -c "$file"
  fi
}

function main {
  compile a.c
}

main "$@"
""",
        ("./common.sh",),
        {
            "OUT": Defined("constant", "OUT=build"),
            "compile": Defined("function", "compile()", doc="Compiles one file.", calls=("gcc",)),
            "main": Defined("function", "function main", calls=("compile",)),
        },
    ),
    "sql": Program(
        """\
-- Orders of customers.
CREATE TABLE shop.orders (
    id int PRIMARY KEY,
    size text
);

CREATE OR REPLACE VIEW large AS
SELECT id, count(*)
FROM shop.orders JOIN people ON id = owner;

CREATE FUNCTION total(tax int) RETURNS int AS $$
    SELECT add(tax, 1);
$$ LANGUAGE sql;

INSERT INTO shop.orders VALUES (1, 'a');
""",
        (),
        {
            "shop.orders": Defined(
                "table", "CREATE TABLE shop.orders ( id int PRIMARY KEY, size text )", doc="Orders of customers."
            ),
            "large": Defined(
                "view",
                "CREATE OR REPLACE VIEW large AS SELECT id, count(*) FROM shop.orders JOIN people ON id = owner",
                calls=("count",),
                bases=("shop.orders", "people"),
            ),
            "total": Defined(
                "function",
                "CREATE FUNCTION total(tax int) RETURNS int AS $$ SELECT add(tax, 1); $$ LANGUAGE sql",
                calls=("add",),
            ),
        },
    ),
    "typescript": Program(
        """\
import type { A } from "./a";
export * from "./b";

export interface Shape<T> extends Base, Named {
  area(scale: number): number;
}

export type Pair = {
  left: string;
};

@Component({ a: 1 })
export abstract class Circle extends Round<number> implements Shape<number> {
  private radius = 1;

  abstract draw(): void;

  area(scale: number): number {
    return Math.PI * square(this.radius);
  }
}

enum Color {
  Red,
}

namespace Tools.Inner {
  export function help(): void {
    run();
  }
}
""",
        ("./a", "./b"),
        {
            "Shape": Defined("interface", "export interface Shape<T> extends Base, Named", bases=("Base", "Named")),
            "Shape.area": Defined("method", "area(scale: number): number"),
            "Pair": Defined("type", "export type Pair = { left: string; }"),
            "Circle": Defined(
                "class",
                "export abstract class Circle extends Round<number> implements Shape<number>",
                calls=("Component",),
                bases=("Round", "Shape<number>"),
            ),
            "Circle.draw": Defined("method", "abstract draw(): void"),
            "Circle.area": Defined("method", "area(scale: number): number", calls=("square",)),
            "Color": Defined("enum", "enum Color"),
            "Tools.Inner": Defined("namespace", "namespace Tools.Inner"),
            "Tools.Inner.help": Defined("function", "export function help(): void", calls=("run",)),
        },
    ),
}
