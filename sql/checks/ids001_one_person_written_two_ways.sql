-- check: IDS001 warning archive
-- question: patient ids that may belong to one person, in two spellings
-- one row: two patients of one such id, and the rules of --patient-id-rule that join them
-- needs: images.patient_alike_key
-- example: xray-mining check
with
-- step: one row per patient
patients as (
    select
        domain,
        patient_alike_key,
        patient_key,
        min(patient_issuer_key) as patient_issuer_key,
        any_value(patient_id_marks order by image_key) as marks
    from images
    where patient_source = 'declared' and patient_alike_key is not null
    group by domain, patient_alike_key, patient_key
),

-- step: ids of two issuers belong to two people; an id without an issuer may belong to either
alike as (
    select
        domain,
        count(*) as patients,
        min(patient_key) as first_patient_key,
        max(patient_key) as last_patient_key,
        list(marks) as marks
    from patients
    group by domain, patient_alike_key
    having count(*) > greatest(count(distinct patient_issuer_key), 1)
),

-- step: the marks that only some of the patients have distinguish the spellings
apart as (
    select
        *,
        list_filter(
            list_distinct(flatten(marks)),
            lambda mark: mark != 'zero'
            and len(list_filter(marks, lambda each: list_contains(each, mark))) < patients
        ) as rules
    from alike
)

select
    domain,
    patients,
    first_patient_key,
    last_patient_key,
    array_to_string(
        list_sort(if(len(rules) > 0, rules, list_distinct(flatten(marks)))), ','
    ) as rules,
    count(*) over () as in_all
from apart
order by patients desc, first_patient_key
limit 20
