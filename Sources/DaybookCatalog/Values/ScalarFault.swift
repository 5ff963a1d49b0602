/// What is wrong with the text of a value.
public enum ScalarFault: Error, Sendable {
    /// It is no value of that type at all: letters for an integer, `yes` for a boolean.
    case wrongType
    /// It is one, but larger, smaller or finer than the type can hold.
    case outOfRange
    /// It does not have the form the type asks for, or names a day or time that does not exist.
    case invalid
}
