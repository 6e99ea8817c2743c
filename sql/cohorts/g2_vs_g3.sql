-- question: which of two age groups a patient belongs to, with sex and year the same in both
-- one row: one patient's latest frontal image within its group's ages
-- parameter: $g2_from integer = 30  first year of age of group G2
-- parameter: $g2_to integer = 45  last year of age of group G2
-- parameter: $g3_from integer = 60  first year of age of group G3
-- parameter: $g3_to integer = 75  last year of age of group G3
-- target: group binary positive='G3'
-- made of: age_years
-- report: reports/group_balance
-- example: xray-mining cohort g2_vs_g3 --param g2_from=20 --param g2_to=39
with
-- step: files that are there, one of each exposure
present as (
    select
        image_key, patient_key, patient_source, view_position, age_years, patient_sex,
        patient_sequence, study_year
    from eligible
),

-- step: with a patient id
identified as (
    select
        image_key, patient_key, view_position, age_years, patient_sex, patient_sequence, study_year
    from present
    where patient_source != 'none'
),

-- step: frontal view
frontal_view as (
    select image_key, patient_key, age_years, patient_sex, patient_sequence, study_year
    from identified
    where view_position in ('PA', 'AP')
),

-- step: sex female or male, age within one of the groups
grouped as (
    select
        image_key,
        patient_key,
        patient_sex,
        patient_sequence,
        study_year,
        if(age_years >= $g3_from, 'G3', 'G2') as "group"
    from frontal_view
    where
        patient_sex in ('F', 'M')
        and (
            (age_years >= $g2_from and age_years < $g2_to + 1)
            or (age_years >= $g3_from and age_years < $g3_to + 1)
        )
        and if(
            $g2_from <= $g2_to and $g2_to < $g3_from and $g3_from <= $g3_to,
            true,
            error(
                'the ages of G2 must lie below those of G3, and no group may end before it begins'
            )
        )
),

-- step: latest image of a patient
latest as (
    select image_key, patient_key, patient_sex, study_year, "group"
    from grouped
    qualify row_number() over (partition by patient_key order by patient_sequence desc) = 1
),

-- step: as many of each group, of the same sex and year
matched as (
    with
    ranked as (
        select
            image_key,
            patient_sex,
            study_year,
            "group",
            row_number() over (
                partition by "group", patient_sex, study_year order by md5(patient_key::varchar)
            ) as place
        from latest
    )

    select image_key, "group"
    from ranked
    qualify count(*) over (partition by patient_sex, study_year, place) = 2
)

select image_key, "group"
from matched
