def svg(found):
    return "<svg/>"
