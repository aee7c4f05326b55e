def greet(whom):
    return "hello from " + whom
