rule evaluate:
    input:
        after("evaluate"),
    output:
        summary("evaluate"),
    params:
        step="evaluate",
        digest=STEPS["evaluate"].digest,
    threads: 2
    shell:
        CALL


rule report:
    input:
        after("report"),
    output:
        summary("report"),
    params:
        step="report",
        digest=STEPS["report"].digest,
    shell:
        CALL
