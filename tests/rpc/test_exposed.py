"""Which members peers may use."""

import pytest

from pyronym.rpc.exposed import (
    Members,
    behavior,
    callback,
    expose,
    exposed_members,
    exposed_method,
    exposed_property,
    is_private,
    oneway,
)


class Mixed:
    @expose
    def shown(self):
        return "shown"

    def hidden(self):
        return "hidden"

    @expose
    @oneway
    def fire(self):
        pass

    @expose
    @property
    def size(self):
        return 3

    @expose
    @property
    def level(self):
        return self._level

    @level.setter
    def level(self, value):
        self._level = value

    @property
    def secret(self):
        raise AssertionError("properties are not evaluated to find out whether they are exposed")

    @expose
    @classmethod
    def make(cls):
        return cls.__name__

    @expose
    @staticmethod
    def add(a, b):
        return a + b

    plain = 12


@expose
class Whole:
    def one(self):
        return 1

    def _private(self):
        pass

    def __len__(self):
        return 7

    def __repr__(self):
        return "<Whole>"

    @property
    def two(self):
        return 2


class Derived(Whole):
    def later(self):
        pass


def test_only_marked_members_are_exposed():
    assert exposed_members(Mixed) == Members(
        frozenset({"shown", "fire", "make", "add"}), frozenset({"fire"}), frozenset({"size", "level"})
    )


def test_an_exposed_class_exposes_all_public_members_it_defines_itself():
    assert exposed_members(Whole) == Members(frozenset({"one", "__len__"}), frozenset(), frozenset({"two"}))
    assert "later" not in exposed_members(Derived).methods
    assert "one" in exposed_members(Derived).methods


def test_without_required_marks_all_public_methods_and_properties_are_exposed():
    members = exposed_members(Mixed, require_expose=False)
    assert members.methods == {"shown", "hidden", "fire", "make", "add"}
    assert members.attributes == {"size", "level", "secret"}


@pytest.mark.parametrize(("name", "result"), [("shown", "shown"), ("make", "Mixed")])
def test_an_exposed_method_is_found_bound(name, result):
    assert exposed_method(Mixed(), name)() == result


def test_a_static_method_is_found():
    assert exposed_method(Mixed(), "add")(1, 2) == 3


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("hidden", "attempt to access unexposed attribute 'hidden'"),
        ("secret", "attempt to access unexposed attribute 'secret'"),
        ("size", "attempt to access unexposed attribute 'size'"),
        ("plain", "attempt to access unexposed attribute 'plain'"),
        ("_private", "attempt to access private attribute '_private'"),
        ("__init__", "attempt to access private attribute '__init__'"),
        ("__class__", "attempt to access private attribute '__class__'"),
        ("__reduce_ex__", "attempt to access private attribute '__reduce_ex__'"),
        ("shown.__func__", "'Mixed' object has no attribute 'shown.__func__'"),
        ("nothing", "'Mixed' object has no attribute 'nothing'"),
        ("", "'Mixed' object has no attribute ''"),
    ],
)
def test_other_names_are_refused_in_the_stock_words(name, words):
    with pytest.raises(AttributeError) as caught:
        exposed_method(Mixed(), name)
    assert str(caught.value) == words


def test_an_attribute_set_on_the_instance_does_not_become_a_method():
    target = Mixed()
    target.late = expose(lambda: "late")
    with pytest.raises(AttributeError):
        exposed_method(target, "late")


def test_an_exposed_property_is_found_and_others_are_not():
    assert exposed_property(Mixed(), "size").fget is not None
    with pytest.raises(AttributeError, match="attempt to access unexposed or unknown remote attribute 'secret'"):
        exposed_property(Mixed(), "secret")
    with pytest.raises(AttributeError, match="type object 'Mixed' has no attribute 'gone'"):
        exposed_property(Mixed(), "gone")
    with pytest.raises(AttributeError):
        exposed_property(Mixed(), "__class__")


def test_private_means_an_underscore_except_for_container_methods():
    assert is_private("_x")
    assert is_private("__dict__")
    assert not is_private("__getitem__")
    assert not is_private("x")


def test_private_names_cannot_be_exposed():
    with pytest.raises(AttributeError, match="exposing private names"):

        @expose
        def _hidden(self):
            pass


def test_what_is_no_member_cannot_be_exposed():
    with pytest.raises(AttributeError, match="cannot expose 42"):
        expose(42)


def test_marks_of_a_callback_and_of_instancing_are_those_that_pyro_sets():
    @behavior(instance_mode="single")
    class Service:
        @callback
        def called(self):
            pass

    assert Service._pyroInstancing == ("single", None)
    assert Service.called._pyroCallback


@pytest.mark.parametrize(
    ("arguments", "error"), [(("often",), ValueError), (("single", 5), TypeError), ((Mixed,), SyntaxError)]
)
def test_wrong_instancing_is_refused(arguments, error):
    with pytest.raises(error):
        behavior(*arguments)


def test_instancing_is_for_classes_only():
    with pytest.raises(TypeError, match="can only be used on a class"):
        behavior("single")(lambda: None)
